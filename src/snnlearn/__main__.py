"""`python -m snnlearn` is `snnlearn`."""

from snnlearn.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
