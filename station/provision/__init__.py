"""From a flashed card to a device: what `cageclock-station provision` writes onto the boot partition, and how."""
