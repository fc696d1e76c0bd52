//go:build linux

package e2e

// Scripts that make of a machine what the guides take it for.

// anyMachine has the names that guides use, a user me, and lets root and me in
// without a password, from everywhere.
const anyMachine = `
ip link set eth0 up
ip addr add $addr/24 dev eth0
ip route add 198.51.100.0/24 dev eth0
cat >/etc/hosts <<END
127.0.0.1 localhost
192.0.2.10 tracker.example new.example
192.0.2.20 old.example
END
rm -f /var/lib/man-db/auto-update # it takes a package ten seconds more
echo 'APT::Get::Assume-Yes "1";' >/etc/apt/apt.conf.d/99guides # a person would say so
useradd -m -s /bin/bash me
cp /root/tracker/key /etc/ssh/guides
cp /root/tracker/key.pub /etc/ssh/guides.pub
chmod 600 /etc/ssh/guides
for home in /root /home/me; do
	mkdir -p $home/.ssh
	cp /etc/ssh/guides.pub $home/.ssh/authorized_keys
	cp /etc/ssh/guides.pub /etc/ssh/guides $home/.ssh
done
cat >/root/.ssh/config <<END
StrictHostKeyChecking no
LogLevel ERROR
IdentityFile /root/.ssh/guides
END
chown -R me: /home/me
systemctl start ssh
`

// oldMachine has an opentracker with a list of one torrent.
const oldMachine = `
echo c12fe1c06bba254a9dc9f519b335aa7c1367a88a >>/etc/opentracker/whitelist.txt
systemctl start opentracker
`

// rebooted starts cron for the first time since the machine has booted, and waits
// for what the crontab starts then.
const rebooted = `
systemctl start cron
for try in {1..100}; do
	! curl -sf http://192.0.2.10:6969/healthz || exit 0
	sleep 0.1
done
exit 1
`

// routerMachine has the shell and the tools of a router, and stand-ins for what
// OpenWrt has beyond that. The program for its CPU is one for this CPU.
const routerMachine = `
ip addr add 192.168.1.1/24 dev eth0
cd /root/tracker
for f in dist/release/*-linux-amd64; do
	cp $f ${f%amd64}mipsle
done
mkdir -p /opt/router /etc/config
busybox --install -s /opt/router
cp packaging/openwrt/standin/rc.common /etc/rc.common
cp packaging/openwrt/standin/uci /opt/router/uci
cp packaging/openwrt/standin/firewall /etc/init.d/firewall
chmod 755 /opt/router/uci /etc/init.d/firewall
ln -sf busybox /usr/bin/sh
touch /etc/config/firewall
`
