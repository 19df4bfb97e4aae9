"""Scheduled half of Dolphin: indicators, archives, and the view of the realtime services.

Dagster assets, schedules, sensors and checks belong here; services that must always run belong
in dolphin_realtime/. Imports nothing at package level.
"""
