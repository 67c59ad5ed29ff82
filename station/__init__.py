"""The lab server: logs every record exactly once and draws longitudinal ageing curves."""
