// Package fault says how a node fails: each kind injects a fault, proves that it bit, and heals it.
//
// A fault is active until it is healed. Active is the proof: it reads the state of the system, so it is
// false before the injection and after the heal, and false when an injection did nothing.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// ErrUnknownKind is wrapped by the error for a fault kind that there is not.
var ErrUnknownKind = errors.New("no such fault kind")

// Fault is one kind of fault on one node. Every method is idempotent, and Heal works from another
// process than Inject.
type Fault interface {
	Inject(ctx context.Context) error
	// Active tells whether the fault is in force, and what was seen.
	Active(ctx context.Context) (active bool, seen string, err error)
	Heal(ctx context.Context) error
}

// Kind is a way to fail.
type Kind struct {
	Name  string
	Level faultcalc.Level
	// Down says that the node takes no part in anything until the heal. Where it is false, and Serves too, the fault passes by
	// itself, or leaves the node at work, and nothing that is predicted for failed nodes holds.
	Down bool
	// Serves says that the node goes on serving what it still can. A shard that has a copy elsewhere must stay available;
	// for one that has none nothing is predicted, and no such case is planned.
	Serves bool
	// OnRequest says why the kind is planned only where it is asked for by its name; "" for one that always is.
	OnRequest string
	// Settles says that the effect needs time to show: a node that is cut off from its peers goes on
	// serving clients until it notices.
	Settles bool
	// On returns the fault on a node.
	On func(c provider.Cluster, node string) (Fault, error)
}

// Kinds returns all fault kinds, in the order in which a plan prefers them.
func Kinds() []Kind {
	return []Kind{crash, hang, isolate, drain, kubeletStop, diskFull, instanceCrash, instanceHang, serverHang, serverKill, supervisorKill, podDelete}
}

// ByName returns the kind of that name at the level.
func ByName(level faultcalc.Level, name string) (Kind, error) {
	var names []string
	for _, k := range Kinds() {
		if k.Name == name && k.Level == level {
			return k, nil
		}
		if k.Level == level {
			names = append(names, k.Name)
		}
	}
	return Kind{}, fmt.Errorf("%w: %q at the level %s; there are %s", ErrUnknownKind, name, level, strings.Join(names, ", "))
}

// onMachine and onInstance look the node up for a kind's On. M and I are what the kind needs of it, which not every
// provider's nodes have.
func onMachine[M provider.Machine](make func(M) Fault) func(provider.Cluster, string) (Fault, error) {
	return func(c provider.Cluster, name string) (Fault, error) {
		m, err := c.Machine(name)
		return able(m, err, make)
	}
}

func onInstance[I provider.Instance](make func(I) Fault) func(provider.Cluster, string) (Fault, error) {
	return func(c provider.Cluster, name string) (Fault, error) {
		i, err := c.Instance(name)
		return able(i, err, make)
	}
}

func able[N provider.Node](node provider.Node, err error, make func(N) Fault) (Fault, error) {
	if err != nil {
		return nil, err
	}
	n, ok := node.(N)
	if !ok {
		return nil, fmt.Errorf("%s can't fail this way: %w", node.Name(), errors.ErrUnsupported)
	}
	return make(n), nil
}

// inState tells whether the node is in the state, and what was seen.
func inState(ctx context.Context, n provider.Node, want provider.State) (active bool, seen string, err error) {
	o, err := n.Observe(ctx)
	return o.State == want, fmt.Sprintf("%s is %s: %s", n.Name(), o.State, o.Seen), err
}
