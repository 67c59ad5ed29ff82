
# Wi-Fi: NetworkManager's own file, root's alone. An image without a country keeps the radio off until somebody sets it;
# the country itself stands in cmdline.txt.
connection=/etc/NetworkManager/system-connections/cageclock.nmconnection
install -D -m 600 /dev/null "${connection}"
cat >"${connection}" <<'WIFI'
[connection]
id=cageclock
type=wifi
interface-name=wlan0
autoconnect=true
[wifi]
mode=infrastructure
ssid=@{ssid}
hidden=@{hidden}
[wifi-security]
key-mgmt=wpa-psk
psk=@{psk}
[ipv4]
method=auto
[ipv6]
method=auto
WIFI
rfkill unblock wifi
for state in /var/lib/systemd/rfkill/*:wlan; do
    [ -e "${state}" ] && echo 0 >"${state}"
done
