"""The local stack: deploys `template.yaml` on moto and serves it, without Docker and without an AWS account."""
