"""The outside world behind the ports: the only place where AWS is spoken to."""
