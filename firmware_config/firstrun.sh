#!/bin/bash
# Written by `cageclock-station provision` for images without cloud-init (Bookworm, the first Trixie): run once, as root,
# by systemd.run= in cmdline.txt. What cloud-init does elsewhere is done here; first_boot.py does the rest on both.
exec >>/boot/firmware/firstrun.log 2>&1
set -x
boot=/boot/firmware
device=@{device}
user=@{user}

# First of all: a line that fails must not boot in circles.
sed -i -E 's/ systemd\.(run|run_success_action|run_failure_action|unit)=[^ ]*//g' "${boot}/cmdline.txt"

# The name in the network, the broker's certificate and the labels: one and the same.
old=$(cat /etc/hostname)
echo "${device}" >/etc/hostname
if grep -q '^127\.0\.1\.1' /etc/hosts; then
    sed -i "s/^127\.0\.1\.1.*/127.0.1.1\t${device}/" /etc/hosts
else
    printf '127.0.1.1\t%s\n' "${device}" >>/etc/hosts
fi

# A person who looks after the device; no password at all. The image's own program renames its first user and ends the
# questions at the console; an image without it gets a new user.
if ! id "${user}" >/dev/null 2>&1; then
    if [ -f /usr/lib/userconf-pi/userconf ]; then
        /usr/lib/userconf-pi/userconf "${user}" '*'
    else
        useradd --create-home --shell /bin/bash "${user}"
    fi
fi
for group in adm sudo video netdev systemd-journal; do
    usermod -aG "${group}" "${user}"
done
mkdir -p /etc/sudoers.d
echo "${user} ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/010_cageclock
chmod 440 /etc/sudoers.d/010_cageclock
home=$(getent passwd "${user}" | cut -d: -f6)
install -d -m 700 -o "${user}" "${home}/.ssh"
cat >"${home}/.ssh/authorized_keys" <<'KEYS'
@{keys}
KEYS
chown "${user}" "${home}/.ssh/authorized_keys"
chmod 600 "${home}/.ssh/authorized_keys"
systemctl enable ssh
# Times on the device are UTC; the room's time is a setting (light_cycle.zone).
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
@{wifi}
/usr/bin/python3 "${boot}/cageclock/first_boot.py" prepare

# It holds the Wi-Fi's key, and has done its work.
rm -f "${boot}/firstrun.sh"
sync
exit 0
