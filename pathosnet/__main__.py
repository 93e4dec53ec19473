"""``python -m pathosnet``."""

from pathosnet.cli import main

if __name__ == "__main__":
    main()
