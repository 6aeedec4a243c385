package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/processes"
)

// instance is a program that a target placed on a machine, with everything it started.
type instance struct {
	*processes.Node
	cluster *Cluster
	machine *machine
	spec    provider.Spec
	server  *processes.Node
}

var _ provider.Instance = (*instance)(nil)

func newInstance(c *Cluster, m *machine, spec provider.Spec) *instance {
	// Instance names are unique in the cluster, so the directory tells the machine too.
	below := runsBelow(filepath.Join(m.insideDisk(), spec.Name))
	all := onHost(func() func(int) bool { return below })
	i := &instance{cluster: c, machine: m, spec: spec, Node: &processes.Node{Label: spec.Name, Table: all}}
	i.server = &processes.Node{Label: spec.Name + " server", Table: all}
	if spec.Server != "" {
		i.server.Table, i.server.Supervised = processes.Named(all, spec.Server), true
	}
	return i
}

// Server implements [provider.Instance].
func (i *instance) Server() provider.Node { return i.server }

// Log implements [provider.Cluster].
func (c *Cluster) Log(instance string) (io.ReadCloser, error) { return os.Open(c.logFile(instance)) }

func (c *Cluster) logFile(instance string) string {
	return filepath.Join(c.options.Logs, instance+".log")
}

// Start implements [provider.Node].
func (i *instance) Start(ctx context.Context) error {
	i.cluster.mu.Lock()
	defer i.cluster.mu.Unlock()
	return i.start(ctx)
}

// start launches the program unless something of it still runs.
func (i *instance) start(ctx context.Context) error {
	if i.cluster.network != nil && i.machine.first == nil {
		return fmt.Errorf("start instance %s: its machine %s is down; start that first", i.spec.Name, i.machine.Label)
	}
	found, err := i.List(ctx)
	if err != nil || len(found) > 0 {
		return err
	}
	log, err := os.OpenFile(i.cluster.logFile(i.spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of instance %s: %w", i.spec.Name, err)
	}
	defer log.Close() //nolint:errcheck // the program holds its own handle
	cmd, err := i.machine.launch(i.spec, log)
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it; how it ended is in its log
	return nil
}
