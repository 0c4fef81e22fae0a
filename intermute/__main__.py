"""`python -m intermute`: the same as the console script; without a command it serves."""

from intermute.cli.main import main

if __name__ == "__main__":
    main()
