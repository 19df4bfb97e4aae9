"""`python -m dolphin_realtime.cli`: the same as `dolphin`."""

from dolphin_realtime.cli.app import main

if __name__ == "__main__":
    main()
