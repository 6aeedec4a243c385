package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "switch0"
	clientHost = 1  // host part of the clients' address
	firstHost  = 10 // host part of the first machine's address
	// mostMachines have addresses in the subnet.
	mostMachines = 254 - firstHost + 1
	subnet       = "10.77.0."
	prefixBits   = 24
)

// network is the switch between the machines: a bridge in a network namespace of its own. Clients
// dial from the switch itself, so a machine that is cut off from its peers still hears them.
type network struct {
	ns *os.File
}

// within runs fn on a thread of its own inside the network namespace. Such a thread can't come back
// (the host's network namespace belongs to another user namespace), so it ends with its goroutine.
func within(ns *os.File, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// dialWithin connects from inside the network namespace; the connection works from anywhere.
func dialWithin(ctx context.Context, ns *os.File, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := within(ns, func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// newNetwork makes the switch.
func newNetwork() (*network, error) {
	made := make(chan error, 1)
	var ns *os.File
	go func() {
		runtime.LockOSThread()
		made <- func() (err error) {
			if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w", err)
			}
			ns, err = os.Open("/proc/thread-self/ns/net")
			return err
		}()
	}()
	if err := <-made; err != nil {
		return nil, err
	}
	n := &network{ns: ns}
	return n, within(ns, func() error {
		if err := linkUp("lo"); err != nil {
			return err
		}
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return fmt.Errorf("make the bridge %s: %w", bridgeName, err)
		}
		if err := addAddress(bridge, clientHost); err != nil {
			return err
		}
		return linkUp(bridgeName)
	})
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the link %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set the link %s up: %w", name, err)
	}
	return nil
}

func addAddress(link netlink.Link, host int) error {
	address, err := netlink.ParseAddr(fmt.Sprintf("%s%d/%d", subnet, host, prefixBits))
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, address, err)
	}
	return nil
}

// portName is the switch's end of a machine's cable.
func portName(host int) string { return fmt.Sprintf("port%d", host) }

// plug connects a machine's network namespace to the switch. Its hardware address follows from
// its place, so that peers' neighbour tables stay right over a restart.
func (n *network) plug(machine *os.File, host int) error {
	err := within(n.ns, func() error {
		port := portName(host)
		if stale, err := netlink.LinkByName(port); err == nil { // of a crashed machine: the kernel may be slow to drop it
			_ = netlink.LinkDel(stale)
		}
		bridge, err := netlink.LinkByName(bridgeName)
		if err != nil {
			return fmt.Errorf("find the bridge: %w", err)
		}
		cable := &netlink.Veth{
			LinkAttrs:        netlink.LinkAttrs{Name: port, MasterIndex: bridge.Attrs().Index},
			PeerName:         "eth0",
			PeerHardwareAddr: net.HardwareAddr{0x02, 0, 0, 0, 0, byte(host)},
			PeerNamespace:    netlink.NsFd(machine.Fd()),
		}
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("plug the cable %s: %w", port, err)
		}
		return linkUp(port)
	})
	if err != nil {
		return err
	}
	return within(machine, func() error {
		if err := linkUp("lo"); err != nil {
			return err
		}
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return fmt.Errorf("find eth0: %w", err)
		}
		if err := addAddress(eth0, host); err != nil {
			return err
		}
		return linkUp("eth0")
	})
}

// cut makes the switch drop what goes from and to the given ports, and nothing else: frames between a
// port and the switch itself (the clients) do not pass the forward hook. Given no ports, nothing is cut.
func (n *network) cut(ports []string) error {
	return within(n.ns, func() error {
		conn, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyBridge, Name: "cutset"})
		chain := conn.AddChain(&nftables.Chain{
			Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
		})
		conn.FlushChain(chain)
		for _, port := range ports {
			for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
				conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
					&expr.Meta{Key: key, Register: 1},
					&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: interfaceName(port)},
					&expr.Verdict{Kind: expr.VerdictDrop},
				}})
			}
		}
		if err := conn.Flush(); err != nil {
			return fmt.Errorf("write the switch's drop rules: %w", err)
		}
		return nil
	})
}

// interfaceName is the name as nftables compares it: padded with zeros to IFNAMSIZ.
func interfaceName(name string) []byte {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return padded
}
