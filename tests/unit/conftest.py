"""Pure code: no server is started here."""

from hypothesis import HealthCheck, settings

# Machines that run other things at the same time make any deadline a matter of luck.
settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
