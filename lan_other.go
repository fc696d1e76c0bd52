//go:build !linux

package main

import (
	"net"
	"net/netip"
)

// A device is a network interface. It may come and go.
type device struct{ name string }

// openDevice returns the interface of that name.
func openDevice(name string) *device { return &device{name} }

// addr returns an IPv4 address of d.
func (d *device) addr() (netip.Addr, error) {
	i, err := net.InterfaceByName(d.name)
	if err != nil {
		return netip.Addr{}, err
	}
	all, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return netip.AddrFrom4([4]byte(n.IP.To4())), nil
		}
	}
	return netip.Addr{}, errNoIPv4
}
