"""Where the command `tidemark` begins, also as `python -m tidemark_cli`."""

from tidemark_cli.app import app


def main() -> None:
    """Run the command line. Raises SystemExit."""
    app(prog_name="tidemark")


if __name__ == "__main__":
    main()
