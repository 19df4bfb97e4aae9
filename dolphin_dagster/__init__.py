"""Scheduled half of Dolphin: indicators, archives, and the window on the realtime services.

Dagster assets, schedules, sensors and checks belong here; nothing that must always run
does (dolphin_realtime/). Imports nothing at package level.
"""
