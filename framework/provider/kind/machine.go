package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cutset-dev/cutset/executor/local"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/kube"
)

// machine is a node that is a container.
type machine struct {
	*kube.Node
	cluster *Cluster
}

var (
	_ provider.Drainable = (*machine)(nil)
	_ provider.Tended    = (*machine)(nil)
)

// The engine's states of a container.
const (
	running = "running"
	paused  = "paused"
)

// become calls the engine's command unless the container's state is already one of those.
func (m *machine) become(ctx context.Context, command string, already ...string) error {
	now, err := inspect(ctx, m.NodeName())
	if err == nil && !slices.Contains(already, now.State.Status) {
		_, err = docker(ctx, command, m.NodeName())
	}
	if err != nil {
		return fmt.Errorf("%s machine %s: %w", command, m.Name(), err)
	}
	return nil
}

// Crash implements [provider.Node] by killing the container.
func (m *machine) Crash(ctx context.Context) error { return m.become(ctx, "kill", "exited", "dead") }

// Start implements [provider.Node].
func (m *machine) Start(ctx context.Context) error { return m.become(ctx, "start", running, paused) }

// Hang implements [provider.Node] by freezing the container: every process on the node, its pods included.
func (m *machine) Hang(ctx context.Context) error { return m.become(ctx, "pause", paused) }

// Resume implements [provider.Node].
func (m *machine) Resume(ctx context.Context) error {
	return m.become(ctx, "unpause", running, "exited", "dead")
}

// Observe implements [provider.Node] with what the engine says.
func (m *machine) Observe(ctx context.Context) (provider.Observation, error) {
	c, err := inspect(ctx, m.NodeName())
	if err != nil {
		return provider.Observation{}, err
	}
	o := provider.Observation{State: provider.Partial, Seen: "container " + m.NodeName() + " is " + c.State.Status}
	switch c.State.Status {
	case running:
		o.State = provider.Running
	case paused:
		o.State = provider.Hung
	case "exited", "dead":
		o.State = provider.Dead
	}
	if c.State.Pid != 0 {
		o.Generation = fmt.Sprintf("container[%d]@%s", c.State.Pid, c.State.StartedAt)
	}
	return o, nil
}

// on runs a script on the node.
func (m *machine) on(ctx context.Context, script string) (string, error) {
	return docker(ctx, "exec", m.NodeName(), "sh", "-c", script)
}

// chain is the name of the packet filter's chain that cuts a node off.
const chain = "CUTSET"

// Isolate implements [provider.Machine]: the node drops what comes from or goes to another node, the control plane and
// the pods there included. The host, from where clients come, is none of them.
func (m *machine) Isolate(ctx context.Context) error {
	ranges, err := m.cluster.rangesBut(ctx, m.NodeName())
	if err != nil {
		return fmt.Errorf("isolate machine %s: %w", m.Name(), err)
	}
	var script strings.Builder
	script.WriteString("set -e; iptables -w -N " + chain + " 2>/dev/null || iptables -w -F " + chain + "\n")
	for _, r := range ranges {
		fmt.Fprintf(&script, "iptables -w -A %[1]s -s %[2]s -j DROP; iptables -w -A %[1]s -d %[2]s -j DROP\n", chain, r)
	}
	for _, from := range hooks {
		fmt.Fprintf(&script, "iptables -w -C %[1]s -j %[2]s 2>/dev/null || iptables -w -I %[1]s 1 -j %[2]s\n", from, chain)
	}
	if _, err := m.on(ctx, script.String()); err != nil {
		return fmt.Errorf("isolate machine %s: %w", m.Name(), err)
	}
	return nil
}

// hooks are where packets pass on a node: to it, through it to and from its pods, and from it.
var hooks = []string{"INPUT", "FORWARD", "OUTPUT"}

// Rejoin implements [provider.Machine]. A node that is down has lost its packet filter.
func (m *machine) Rejoin(ctx context.Context) error {
	if now, err := inspect(ctx, m.NodeName()); err != nil || now.State.Status != running {
		return err
	}
	var script strings.Builder
	for _, from := range hooks {
		fmt.Fprintf(&script, "while iptables -w -D %s -j %s 2>/dev/null; do :; done\n", from, chain)
	}
	fmt.Fprintf(&script, "iptables -w -F %[1]s 2>/dev/null && iptables -w -X %[1]s\ntrue\n", chain)
	if _, err := m.on(ctx, script.String()); err != nil {
		return fmt.Errorf("take machine %s back into the network: %w", m.Name(), err)
	}
	return nil
}

// Isolated implements [provider.Machine]. Every node listens on the kubelet's port.
func (m *machine) Isolated(ctx context.Context) (isolated bool, seen string, err error) {
	type way struct{ from, to string }
	var ways []way
	up, err := m.cluster.running(ctx)
	if err != nil {
		return false, "", err
	}
	for node := range up {
		if node != m.NodeName() && up[m.NodeName()] != "" {
			ways = append(ways, way{m.NodeName(), node}, way{node, m.NodeName()})
		}
	}
	if len(ways) == 0 {
		return false, "", fmt.Errorf("tell whether machine %s is isolated: it, or every peer, is down", m.Name())
	}
	var mu sync.Mutex
	var tried, connected []string
	var errs []error
	var tries sync.WaitGroup
	for _, w := range ways {
		tries.Go(func() {
			_, err := docker(ctx, "exec", w.from, "timeout", "1", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/10250", up[w.to]))
			mu.Lock()
			defer mu.Unlock()
			label := w.from + " to " + w.to
			tried = append(tried, label)
			switch {
			case err == nil:
				connected = append(connected, label)
			case !errors.Is(err, local.ErrExit):
				errs = append(errs, err)
			}
		})
	}
	tries.Wait()
	slices.Sort(tried)
	slices.Sort(connected)
	return len(connected) == 0 && len(errs) == 0, fmt.Sprintf("tried %v; connected: %v", tried, connected), errors.Join(errs...)
}

// Agent implements [provider.Tended].
func (m *machine) Agent() provider.Node { return kubelet{m} }

// kubelet is the node's agent, a unit of its init system.
type kubelet struct{ machine *machine }

func (k kubelet) Name() string { return "kubelet of " + k.machine.Name() }

func (k kubelet) unit(ctx context.Context, verb, option string) error {
	if _, err := k.machine.on(ctx, "systemctl "+verb+" "+option+" kubelet"); err != nil {
		return fmt.Errorf("%s %s: %w", verb, k.Name(), err)
	}
	return nil
}

// Crash implements [provider.Node]. A unit that was merely killed would be started again.
func (k kubelet) Crash(ctx context.Context) error { return k.unit(ctx, "stop", "") }

// Start implements [provider.Node].
func (k kubelet) Start(ctx context.Context) error { return k.unit(ctx, "start", "") }

// Hang implements [provider.Node].
func (k kubelet) Hang(ctx context.Context) error { return k.unit(ctx, "kill", "--signal=STOP") }

// Resume implements [provider.Node].
func (k kubelet) Resume(ctx context.Context) error { return k.unit(ctx, "kill", "--signal=CONT") }

// Observe implements [provider.Node].
func (k kubelet) Observe(ctx context.Context) (provider.Observation, error) {
	out, err := k.machine.on(ctx, "systemctl show kubelet --property=ActiveState,MainPID --value")
	if err != nil {
		return provider.Observation{}, err
	}
	pid, state, _ := strings.Cut(out, "\n")
	o := provider.Observation{State: provider.Dead, Generation: pid, Seen: strings.Join(strings.Fields(state+" "+pid), ", process ")}
	if strings.Contains(out, "\nactive") || strings.HasPrefix(out, "active") {
		o.State = provider.Running
	}
	return o, nil
}
