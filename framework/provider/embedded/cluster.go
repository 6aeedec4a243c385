// Package embedded makes machines out of this host, without an engine, an image, or a privilege.
//
// A run lives in a world of its own: user, process, mount and IPC namespaces that [Enter] makes by
// re-executing the program. Its chain of processes is
//
//	the program (outer) ─► init of the world ─► the program again, with the tests
//	                                              └─► first process of each machine ─► instances
//
// and everything below the outer process ends with it, even when it is killed: it leaves no
// process, no network, no shared memory and no directory behind. Each machine adds a network namespace
// on a bridge, and its own process table, /run and /dev/shm; where disks are volatile, a process beside it serves its disk. The tests stay in the host's network, so that they can
// serve and call; they dial into the run's network through [Cluster.Dial].
//
// Where the host forbids such namespaces, machines are loopback addresses 127.x.y.z and process groups.
// They can be crashed and hung, but not isolated, and they outlive a killed run until [Reopen]
// cleans up.
package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/disk"
	"github.com/cutset-dev/cutset/framework/provider/processes"
)

// Options say what to make and where to leave its traces.
type Options struct {
	Run      string   // run id: names everything the run makes outside of a world
	Machines []string // names, in the placement's order
	Logs     string   // existing directory for the output of instances
	State    string   // file in which a cluster that can outlive its process records itself; "" for none
	Volatile []string // the machines that lose in a crash what was written to their disks of late and not synced
}

// Cluster implements [provider.Cluster].
type Cluster struct {
	options Options
	base    string   // holds the machines' disks
	network *network // nil without namespaces
	reason  string   // why there are no namespaces

	mu        sync.Mutex
	order     []string
	machines  map[string]*machine
	instances map[string]*instance
}

var _ provider.Host = (*Cluster)(nil)

// Open makes the machines and boots them.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	if len(options.Machines) > mostMachines {
		return nil, fmt.Errorf("%d machines do not fit into one network; place at most %d", len(options.Machines), mostMachines)
	}
	c := &Cluster{options: options, machines: map[string]*machine{}, instances: map[string]*instance{}}
	namespaces, reason := inWorld()
	if namespaces {
		var err error
		if c.network, err = newNetwork(); err != nil {
			return nil, fmt.Errorf("make the network between the machines: %w", err)
		}
		c.base = filepath.Join(worldDir, "disk")
	} else {
		c.reason = reason
		c.base = baseOf(options.Run)
		if len(options.Volatile) > 0 {
			return nil, errors.New("make volatile disks: that takes namespaces (" + reason + ")")
		}
	}
	// Programs run as another user and must be able to pass through, no more.
	if err := os.Mkdir(c.base, 0o711); err != nil {
		return nil, fmt.Errorf("make the directory of the machines' disks: %w", err)
	}
	for at, name := range options.Machines {
		if err := c.addMachine(at, name); err != nil {
			return nil, errors.Join(err, c.Close(ctx))
		}
	}
	for _, name := range c.order {
		if err := c.machines[name].boot(ctx); err != nil {
			return nil, errors.Join(err, c.Close(ctx))
		}
	}
	return c, c.record()
}

// baseOf is where a run without a world keeps its machines' disks. Socket paths are short, so it is near the root.
func baseOf(run string) string { return filepath.Join("/tmp", "cutset-"+run) }

func (c *Cluster) addMachine(at int, name string) error {
	m := &machine{cluster: c, host: firstHost + at, disk: filepath.Join(c.base, name)}
	m.address = fmt.Sprintf("%s%d", subnet, m.host)
	if c.network == nil {
		sum := sha256.Sum256([]byte(c.options.Run)) // runs side by side get different addresses
		m.address = fmt.Sprintf("127.%d.%d.%d", 64+sum[0]%128, 1+sum[1]%254, m.host)
	}
	m.Node = &processes.Node{Label: name, Table: onHost(func() func(int) bool { return c.onMachine(m) })}
	c.machines[name], c.order = m, append(c.order, name)
	if err := os.Mkdir(m.disk, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the disk of machine %s: %w", name, err)
	}
	switch {
	case slices.Contains(c.options.Volatile, name):
		m.volatile = &volatileDisk{dir: m.disk}
		return m.volatile.serve()
	case c.network != nil:
		return disk.Mount(m.disk)
	}
	return c.own(m.disk)
}

// own gives a path to the user that programs run as.
func (c *Cluster) own(path string) error {
	if c.network != nil || os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, nobody, nobody)
}

// onMachine matches all processes of the machine but its first.
func (c *Cluster) onMachine(m *machine) func(pid int) bool {
	if c.network == nil {
		return runsBelow(m.disk)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first, pidNS := m.first, m.pidNS
	return func(pid int) bool {
		return first != nil && pid != first.Process.Pid && pidNamespace(pid) == pidNS
	}
}

// Machines implements [provider.Cluster].
func (c *Cluster) Machines() []string { return c.order }

// Machine implements [provider.Cluster].
func (c *Cluster) Machine(name string) (provider.Machine, error) {
	m, err := c.machine(name)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (c *Cluster) machine(name string) (*machine, error) {
	m := c.machines[name]
	if m == nil {
		return nil, fmt.Errorf("machine %q: %w; there are %v", name, provider.ErrUnknownNode, c.order)
	}
	return m, nil
}

// Instance implements [provider.Cluster].
func (c *Cluster) Instance(name string) (provider.Instance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.instances[name]
	if i == nil {
		return nil, fmt.Errorf("instance %q: %w", name, provider.ErrUnknownNode)
	}
	return i, nil
}

// Disk implements [provider.Host].
func (c *Cluster) Disk(name string) (outside, inside string, err error) {
	m, err := c.machine(name)
	if err != nil {
		return "", "", err
	}
	return m.disk, m.insideDisk(), nil
}

// Place implements [provider.Host]. The program runs in the directory of its name on the
// machine's disk, which is made here if it is missing.
func (c *Cluster) Place(ctx context.Context, spec provider.Spec) error {
	m, err := c.machine(spec.Machine)
	if err != nil {
		return err
	}
	if err := c.makeOwned(filepath.Join(m.disk, spec.Name)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instances[spec.Name] != nil {
		return fmt.Errorf("place instance %s: there is one of that name", spec.Name)
	}
	i := newInstance(c, m, spec)
	c.instances[spec.Name] = i
	if err := i.start(ctx); err != nil {
		return err
	}
	return c.recordLocked()
}

// makeOwned makes the directory, and gives everything in it to the user that programs run as.
func (c *Cluster) makeOwned(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return c.own(path)
	})
}

// Dial implements [provider.Cluster].
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.network == nil {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}
	return dialWithin(ctx, c.network.ns, network, address)
}

func (c *Cluster) setIsolated(m *machine, isolated bool) error {
	if c.network == nil {
		return errors.New("isolate machine " + m.Label + ": " + c.uncut())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.isolated = isolated
	var ports []string
	for _, name := range c.order {
		if other := c.machines[name]; other.isolated {
			ports = append(ports, portName(other.host))
		}
	}
	return c.network.cut(ports)
}

// Unsupported implements [provider.Cluster].
func (c *Cluster) Unsupported(_ faultcalc.Level, kind string) string {
	switch {
	case slices.Contains([]string{"kubelet-stop", "drain", "pod-delete"}, kind):
		return "machines are made of processes, not of Kubernetes nodes"
	case kind == "isolate" && c.network == nil:
		return c.uncut()
	case kind == "disk-full" && c.network == nil:
		return c.unbounded()
	case kind == "disk-full" && len(c.options.Volatile) > 0:
		return "volatile disks are not of a bounded size"
	}
	return ""
}

// uncut says why the network can't be cut.
func (c *Cluster) uncut() string {
	return "machines are loopback addresses of one network, which can't be cut (" + c.reason + ")"
}

// Describe implements [provider.Cluster].
func (c *Cluster) Describe() string {
	if c.network == nil {
		return "loopback addresses on this host, no namespaces: " + c.reason
	}
	return "namespaces on this host, joined by a bridge"
}

// Close implements [provider.Cluster].
func (c *Cluster) Close(ctx context.Context) error {
	var errs []error
	for _, name := range c.order {
		m := c.machines[name]
		errs = append(errs, m.Crash(ctx), m.volatile.cut())
		if c.network != nil && m.volatile == nil {
			errs = append(errs, disk.Unmount(m.disk))
		}
	}
	if c.network != nil {
		errs = append(errs, c.network.ns.Close())
	}
	errs = append(errs, os.RemoveAll(c.base))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take the machines down: %w", err)
	}
	return c.forget()
}
