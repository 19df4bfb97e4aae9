"""What an operator clicks, on the stack whose storage is in PostgreSQL: the tests of e2e themselves."""

from tests.e2e.test_clicks import (
    test_a_day_is_backtested_by_clicking,
    test_a_day_is_reported_by_clicking,
    test_a_sensor_that_is_toggled_stops_and_acts_again,
)
from tests.e2e.test_ui import (
    test_calendar_factors_are_materialized_by_clicking,
    test_its_schedule_can_be_toggled,
    test_the_pools_page_shows_every_limit,
)

__all__ = [
    "test_a_day_is_backtested_by_clicking",
    "test_a_day_is_reported_by_clicking",
    "test_a_sensor_that_is_toggled_stops_and_acts_again",
    "test_calendar_factors_are_materialized_by_clicking",
    "test_its_schedule_can_be_toggled",
    "test_the_pools_page_shows_every_limit",
]
