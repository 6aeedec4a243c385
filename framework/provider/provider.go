// Package provider says what a target's machines must be able to do, whatever they are made of.
//
// A provider makes machines (namespaces on this host, containers, hosts behind a kubeconfig), lets a
// target place instances on them, and can fail both: a [Node] is crashed, hung, and brought back; a
// [Machine] can also be cut off from its peers. Injection and observation are kept apart: the state that
// [Node.State] reports is read from the system, never from what was asked of the provider, so that a
// fault that did not bite is seen.
package provider

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/cutset-dev/cutset/faultcalc"
)

// ErrUnknownNode is wrapped by the error for a machine or an instance that the cluster does not have.
var ErrUnknownNode = errors.New("no such node")

// State is what the system says about a node's processes.
type State string

// The states of a node. A node of which some processes run and others are stopped or gone is Partial:
// a fault that bit only partly is a fault that did not bite.
const (
	Running State = "running"
	Hung    State = "hung"
	Dead    State = "dead"
	Partial State = "partial"
)

// Observation is what the system says about a node.
type Observation struct {
	State State
	// Generation names the incarnation of the node's first process. It changes when that process
	// is replaced, also where State is Running before and after.
	Generation string
	Seen       string // in words, for messages
}

// Node is what fails: a machine, or one instance on a machine. Every method is idempotent.
type Node interface {
	Name() string
	// Crash kills every process of the node at once. It stays down until Start.
	Crash(ctx context.Context) error
	// Hang stops every process of the node in its tracks. It stays hung until Resume.
	Hang(ctx context.Context) error
	// Resume lets a hung node run on.
	Resume(ctx context.Context) error
	// Start boots a node that was crashed, with its disk as it was left.
	Start(ctx context.Context) error
	// Observe reads the node's state from the system.
	Observe(ctx context.Context) (Observation, error)
}

// Machine is a node that has addresses of its own, and peers.
type Machine interface {
	Node
	// Addresses are all that the machine has at present, the one that others use first. Of a machine that is
	// down, that one.
	Addresses() ([]string, error)
	// Isolate drops all traffic between this machine and every other machine. Clients still reach it:
	// that is what makes a stale primary dangerous.
	Isolate(ctx context.Context) error
	// Rejoin takes Isolate back.
	Rejoin(ctx context.Context) error
	// Isolated tries to connect from this machine to its peers and the other way round, and says what it saw.
	// The machine is isolated when none of that works.
	Isolated(ctx context.Context) (isolated bool, seen string, err error)
}

// Instance is a node whose supervisor and server can fail apart from each other.
type Instance interface {
	Node
	// Server is the database server alone, without its supervisor. It has no Start: bringing the
	// server back is the supervisor's work.
	Server() Node
}

// LabelsOf returns the failure domains that the machine itself tells, or nil where only a placement does.
func LabelsOf(m Machine) map[string]string {
	if l, ok := m.(interface{ Labels() map[string]string }); ok {
		return l.Labels()
	}
	return nil
}

// Drainable is a machine that a scheduler can empty: it evicts what runs there, and places nothing new.
type Drainable interface {
	Machine
	Drain(ctx context.Context) error
	// Uncordon lets the scheduler place instances again.
	Uncordon(ctx context.Context) error
	// Drained tells whether the machine takes no new instances and has none left, and what was seen.
	Drained(ctx context.Context) (drained bool, seen string, err error)
}

// Tended is a machine with an agent that looks after its instances; without it they go on, but nobody starts them again.
type Tended interface {
	Machine
	Agent() Node
}

// Replaceable is an instance that a controller makes anew when it is deleted, with the same name and disk.
type Replaceable interface {
	Instance
	Delete(ctx context.Context) error
	// Incarnation names the present one; "" while there is none.
	Incarnation(ctx context.Context) (string, error)
}

// Spec is what a target places on a machine: one long-running program, usually the supervisor of a
// database server. The provider starts it as an unprivileged user, restarts it when its machine
// boots, and keeps its output in the run's logs.
type Spec struct {
	Name    string   // unique in the cluster
	Machine string   // where it runs
	Args    []string // program and arguments
	Env     []string // complete environment, KEY=value
	// Server is the base name of the database server's executable ("postgres"), to tell it from its
	// supervisor. Empty where the program is the server itself.
	Server string
}

// Cluster is a set of machines and of the instances that a target placed on them.
type Cluster interface {
	// Machines returns the machines' names in the placement's order.
	Machines() []string
	Machine(name string) (Machine, error)
	Instance(name string) (Instance, error)
	// Dial connects to an address of the cluster as a client would, from outside of every machine.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Log is what an instance, and whoever supervises it, printed so far in the run, on all of its starts.
	Log(instance string) (io.ReadCloser, error)
	// Unsupported says why a fault kind can't be injected at the level, or "" when it can.
	Unsupported(level faultcalc.Level, kind string) string
	// Describe says in one line what the machines are made of.
	Describe() string
	// Close takes everything down and removes it.
	Close(ctx context.Context) error
}

// LogExporter is a cluster whose machines keep logs of their own.
type LogExporter interface {
	// ExportLogs copies them into a directory, which is made.
	ExportLogs(ctx context.Context, dir string) error
}

// Host is a cluster on whose machines a target places programs itself.
type Host interface {
	Cluster
	// Disk returns the machine's disk as a directory, as the caller and as programs on the machine see it.
	// Its content survives a crash of the machine.
	Disk(machine string) (outside, inside string, err error)
	// Place registers the program with its machine and starts it.
	Place(ctx context.Context, spec Spec) error
}
