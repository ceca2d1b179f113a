"""Who may ask: users, API keys, tokens and the audit trail."""
