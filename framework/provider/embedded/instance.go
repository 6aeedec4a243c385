package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutset-dev/cutset/framework/provider"
)

// instance is a program that a target placed on a machine, with everything it started.
type instance struct {
	*processNode
	cluster *Cluster
	machine *machine
	spec    provider.Spec
	matches func(pid int) bool // is it a process of this instance
	server  *processNode
}

var _ provider.Instance = (*instance)(nil)

func newInstance(c *Cluster, m *machine, spec provider.Spec) *instance {
	i := &instance{cluster: c, machine: m, spec: spec}
	// Instance names are unique in the cluster, so the directory tells the machine too.
	i.matches = runsBelow(filepath.Join(m.insideDisk(), spec.Name))
	i.processNode = &processNode{name: spec.Name, list: func() ([]proc, error) { return listProcesses(i.matches) }}
	i.server = &processNode{name: spec.Name + " server", supervised: spec.Server != "", list: func() ([]proc, error) {
		all, err := i.list()
		if spec.Server == "" {
			return all, err
		}
		var server []proc
		for _, p := range all {
			if p.name == spec.Server {
				server = append(server, p)
			}
		}
		return server, err
	}}
	return i
}

// Server implements [provider.Instance].
func (i *instance) Server() provider.Node { return i.server }

// Start implements [provider.Node].
func (i *instance) Start(context.Context) error {
	i.cluster.mu.Lock()
	defer i.cluster.mu.Unlock()
	return i.start()
}

// start launches the program unless something of it still runs.
func (i *instance) start() error {
	if i.cluster.network != nil && i.machine.first == nil {
		return fmt.Errorf("start instance %s: its machine %s is down; start that first", i.spec.Name, i.machine.name)
	}
	procs, err := listProcesses(i.matches)
	if err != nil || len(procs) > 0 {
		return err
	}
	log, err := os.OpenFile(filepath.Join(i.cluster.options.Logs, i.spec.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
