"""Search attributes of runs: how people find them in the Temporal Web UI. Registered by `./tooloo up` (TRAPS 13)."""

from temporalio.common import SearchAttributeKey

DEFINITION = SearchAttributeKey.for_keyword("TooLooDefinition")
VERSION = SearchAttributeKey.for_int("TooLooVersion")
USER = SearchAttributeKey.for_keyword("TooLooUser")
TRIGGER = SearchAttributeKey.for_keyword("TooLooTrigger")
FAILED_STEP = SearchAttributeKey.for_keyword("TooLooFailedStep")

SEARCH_ATTRIBUTES = (DEFINITION, VERSION, USER, TRIGGER, FAILED_STEP)
