package plan

import (
	"fmt"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/fault"
)

// ClassAsked is the class of a fault set that somebody named.
const ClassAsked faultcalc.Class = "asked"

// Asked returns the case in which the nodes fail in that way, with its prediction, whether a plan has it or not. It has the id that it
// would have in one. A node or a kind of fault that there is not is an error.
func Asked(topology faultcalc.Topology, suite string, name faultcalc.Level, kind string, nodes []string) (Case, error) {
	k, err := fault.ByName(name, kind)
	if err != nil {
		return Case{}, err
	}
	table := topology.Tables[0].Name
	model, err := faultcalc.Compile(topology, table, name)
	if err != nil {
		return Case{}, err
	}
	set, err := model.SetOf(nodes...)
	if err != nil {
		return Case{}, err
	}
	l := level{name: name, suite: suite, table: table, model: model}
	return l.caseOf(faultcalc.FaultSet{
		ID: model.ID(set), Class: ClassAsked, Nodes: model.Names(set), Predict: model.Availability(set), UnavailableShards: model.UnavailableShards(set),
		Why: "asked for by name",
	}, k), nil
}

// byID is the case of an id that no candidate has: of any nodes, as suite:kind:level:node+node.
func byID(topology faultcalc.Topology, spec Spec) (Case, error) {
	parts := strings.Split(spec.Only, ":")
	if len(parts) != 4 {
		return Case{}, fmt.Errorf("%w: %s; write suite:kind:level:node+node, or an id from the plan's file", ErrNoCase, spec.Only)
	}
	kind, name, nodes := parts[1], faultcalc.Level(parts[2]), strings.Split(parts[3], "+")
	c, err := Asked(topology, spec.Suite, name, kind, nodes)
	if err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrNoCase, spec.Only, err)
	}
	if reason := spec.Unsupported(name, kind); reason != "" {
		return c, fmt.Errorf("%w: %s: %s", ErrNoCase, spec.Only, reason)
	}
	return c, nil
}

// Again is how a case's id is told from those of its repeats, which have a number after it, and of other runs that the plan does not have.
const Again = "@"

// Repeated returns the plan with all of its cases so many times, one pass after the other. With one, it is the plan.
func (p Plan) Repeated(times int) Plan {
	if times < 2 {
		return p
	}
	repeated := p
	repeated.Cases = make([]Case, 0, times*len(p.Cases))
	for repeat := range times {
		for _, c := range p.Cases {
			c.Of, c.Repeat = c.ID, repeat+1
			c.ID = fmt.Sprint(c.Of, Again, c.Repeat)
			repeated.Cases = append(repeated.Cases, c)
		}
	}
	return repeated
}

// Planned is the id that the case has in the plan, whichever run of it this is.
func (c Case) Planned() string {
	id, _, _ := strings.Cut(c.ID, Again)
	return id
}
