#!/bin/sh
# For Linux guests under QEMU (docs/kvm.md): takes the addresses that Farshore gave the machine, by `injection: smbios` or `fwCfg`. To be run before
# anything uses the network. Where nothing was given, everything stays as it is.
settings=$(cat /sys/firmware/dmi/entries/11-*/raw 2>/dev/null | tr '\000' '\n' | grep -a -o 'farshore\..*' | sed 's/^farshore\.//')
[ -n "$settings" ] || settings=$(cat /sys/firmware/qemu_fw_cfg/by_name/opt/farshore/network/raw 2>/dev/null)
named() { echo "$settings" | sed -n "s/^$1=//p" | head -n 1 | tr ',' ' '; }

for number in 0 1 2 3 4 5 6 7; do
  mac=$(named adapter$number.mac)
  [ -n "$mac" ] && [ -n "$(named adapter$number.address)" ] || continue
  device=$(grep -l "$mac" /sys/class/net/*/address | head -n 1 | cut -d / -f 5)
  [ -n "$device" ] || continue
  ip address flush dev "$device"
  ip link set dev "$device" up
  for one in $(named adapter$number.address); do ip address add "$one" dev "$device"; done
  for one in $(named adapter$number.gateway); do ip route add default via "$one" dev "$device"; done
done
servers=$(for number in 0 1 2 3 4 5 6 7; do for one in $(named adapter$number.dns); do echo "nameserver $one"; done; done)
[ -z "$servers" ] || echo "$servers" >/etc/resolv.conf
