// Package processes makes nodes out of processes, wherever they run: a [provider.Node] that is killed, stopped, resumed
// and observed by signals and by what the process table says.
package processes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider"
)

// Process is a live process, as /proc shows it.
type Process struct {
	PID     int
	Name    string
	Stopped bool
	// Waiting in the kernel, uninterrupted, as for the child of a vfork. With a SIGSTOP before it, it does not run on
	// either, and shows no stopped state as long as it waits.
	Waiting bool
	Born    int64 // tells processes with the same id apart
}

// Table is where a node's processes are.
type Table interface {
	// List returns the node's processes, oldest first, without the ones that only wait to be reaped.
	List(ctx context.Context) ([]Process, error)
	// Signal sends a signal to processes. One that is gone is no error.
	Signal(ctx context.Context, signal unix.Signal, processes []Process) error
}

// Named is the part of a table in which processes have one of the names.
func Named(table Table, names ...string) Table { return named{table, names} }

// Unnamed is the other part.
func Unnamed(table Table, names ...string) Table { return unnamed{table, names} }

type (
	named struct {
		Table
		names []string
	}
	unnamed named
)

// List implements [Table].
func (n named) List(ctx context.Context) ([]Process, error) {
	all, err := n.Table.List(ctx)
	return slices.DeleteFunc(all, func(p Process) bool { return !slices.Contains(n.names, p.Name) }), err
}

// List implements [Table].
func (n unnamed) List(ctx context.Context) ([]Process, error) {
	all, err := n.Table.List(ctx)
	return slices.DeleteFunc(all, func(p Process) bool { return slices.Contains(n.names, p.Name) }), err
}

// Node implements [provider.Node].
type Node struct {
	Label string
	Table
	// Supervised: somebody outside of the node starts it again as soon as it is dead.
	Supervised bool
}

var _ provider.Node = (*Node)(nil)

// Name implements [provider.Node].
func (n *Node) Name() string { return n.Label }

// Observe implements [provider.Node].
func (n *Node) Observe(ctx context.Context) (provider.Observation, error) {
	found, err := n.List(ctx)
	if err != nil {
		return provider.Observation{}, err
	}
	stopped, waiting := 0, 0
	for _, p := range found {
		switch {
		case p.Stopped:
			stopped++
		case p.Waiting:
			waiting++
		}
	}
	o := provider.Observation{State: provider.Partial}
	switch {
	case len(found) == 0:
		o.State = provider.Dead
	case stopped > 0 && stopped+waiting == len(found):
		o.State = provider.Hung
	case stopped == 0:
		o.State = provider.Running
	}
	if len(found) > 0 {
		o.Generation = fmt.Sprintf("%s[%d]@%d", found[0].Name, found[0].PID, found[0].Born)
	}
	o.Seen = fmt.Sprintf("%d processes, %d of them stopped, %d waiting in the kernel", len(found), stopped, waiting)
	return o, nil
}

// Crash implements [provider.Node].
func (n *Node) Crash(ctx context.Context) error {
	spared := func(Process, bool) bool { return false }
	if n.Supervised {
		doomed, err := n.List(ctx)
		if err != nil {
			return err
		}
		spared = func(p Process, _ bool) bool {
			return !slices.ContainsFunc(doomed, func(d Process) bool { return d.PID == p.PID && d.Born == p.Born })
		}
	}
	return n.signalUntil(ctx, unix.SIGKILL, spared)
}

// Hang implements [provider.Node].
func (n *Node) Hang(ctx context.Context) error {
	return n.signalUntil(ctx, unix.SIGSTOP, func(p Process, sent bool) bool { return p.Stopped || sent && p.Waiting })
}

// Resume implements [provider.Node].
func (n *Node) Resume(ctx context.Context) error {
	return n.signalUntil(ctx, unix.SIGCONT, func(p Process, sent bool) bool { return sent && !p.Stopped })
}

// signalUntil sends the signal to every process of the node that is not done yet, again and again until
// none is left: while the list is read, a process may fork. sent says that it was sent the signal before.
func (n *Node) signalUntil(ctx context.Context, signal unix.Signal, done func(p Process, sent bool) bool) error {
	const again = 5 * time.Millisecond
	tick := time.NewTicker(again)
	defer tick.Stop()
	sent := map[int]bool{}
	for {
		found, err := n.List(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(found, func(p Process) bool { return done(p, sent[p.PID]) })
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			sent[p.PID] = true
		}
		if err := n.Signal(ctx, signal, left); err != nil {
			return fmt.Errorf("send %v to %s: %w", signal, n.Label, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("send %v to all of %s: %d processes left: %w", signal, n.Label, len(left), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Start implements [provider.Node] for what has no start of its own: its supervisor brings it back.
func (n *Node) Start(context.Context) error { return nil }
