"""PostgreSQL as every service uses it. Never imported by anything that workflows import (TRAPS 10)."""
