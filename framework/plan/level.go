package plan

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/fault"
)

// mostSets bounds how many fault sets of a level are looked at: a plan lists what it leaves out.
const mostSets = 500

// level is one fault level's share of a plan.
type level struct {
	name     faultcalc.Level
	suite    string
	table    string
	model    *faultcalc.Model
	kinds    []fault.Kind
	others   []LeftOut // kinds that can't be injected here
	boundary []faultcalc.FaultSet
	factors  []faultcalc.FaultSet // the published fault factors that are not on the boundary
	more     bool
	yielded  map[string]bool // ids of candidates so far
}

// stage is one pass over a level's fault sets.
type stage int

const (
	boundaryOnce stage = iota // one kind for each set, in turn
	boundaryRest              // the other kinds
	factorsOnce
	factorsRest
)

func newLevel(topology faultcalc.Topology, name faultcalc.Level, spec Spec) (*level, error) {
	table := topology.Tables[0].Name
	model, err := faultcalc.Compile(topology, table, name)
	if err != nil {
		return nil, fmt.Errorf("plan the level %s: %w", name, err)
	}
	l := &level{name: name, suite: spec.Suite, table: table, model: model, yielded: map[string]bool{}}
	for _, k := range kindsAt(name, spec.Kinds) {
		cases := strings.Join([]string{spec.Suite, k.Name, string(name), ""}, ":")
		reason := spec.Unsupported(name, k.Name)
		if named := slices.Contains(spec.Kinds, k.Name) || strings.HasPrefix(spec.Only, cases); reason == "" && !named && k.OnRequest != "" {
			reason = fmt.Sprintf("%s; -kinds=%s asks for it", k.OnRequest, k.Name)
		}
		if reason == "" {
			l.kinds = append(l.kinds, k)
		} else {
			l.others = append(l.others, LeftOut{cases + "…", reason})
		}
	}
	if len(l.kinds) == 0 {
		return l, nil
	}
	seen := 0
	for set := range model.Plan(faultcalc.PlanSpec{Boundary: true, Published: true}) {
		if spec.MaxSize > 0 && len(set.Nodes) > spec.MaxSize {
			continue
		}
		if seen++; seen > mostSets {
			l.more = true
			break
		}
		if set.Class == faultcalc.ClassCut || set.Class == faultcalc.ClassSurvivable {
			l.boundary = append(l.boundary, set)
		} else {
			l.factors = append(l.factors, set)
		}
	}
	return l, nil
}

// candidates yields the cases of one stage, all of which a budget may leave out.
func (l *level) candidates(s stage) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for set, kind := range l.pairs(s) {
			c := l.caseOf(set, kind)
			if l.yielded[c.ID] {
				continue
			}
			l.yielded[c.ID] = true
			if !yield(c) {
				return
			}
		}
	}
}

// pairs says which fault sets a stage has with which kinds. A kind that takes nothing down decides nothing about its set: each
// comes first, with a set that would be a cut, and then leaves the first passes to the kinds that decide.
func (l *level) pairs(s stage) iter.Seq2[faultcalc.FaultSet, fault.Kind] {
	deciding := slices.DeleteFunc(slices.Clone(l.kinds), func(k fault.Kind) bool { return !k.Down })
	passing := slices.DeleteFunc(slices.Clone(l.kinds), func(k fault.Kind) bool { return k.Down || k.Serves })
	sets := l.boundary
	if s == factorsOnce || s == factorsRest {
		sets = l.factors
	}
	return func(yield func(faultcalc.FaultSet, fault.Kind) bool) {
		if s == boundaryOnce {
			for i, kind := range passing {
				if len(sets) > 0 && !yield(sets[i%len(sets)], kind) {
					return
				}
			}
		}
		kinds := l.kinds
		if once := s == boundaryOnce || s == factorsOnce; once && len(deciding) > 0 {
			kinds = deciding
		}
		for turn := range kinds {
			for i, set := range sets {
				if !yield(set, kinds[(i+turn)%len(kinds)]) {
					return
				}
			}
			if s == boundaryOnce || s == factorsOnce {
				return
			}
		}
	}
}

func (l *level) caseOf(set faultcalc.FaultSet, kind fault.Kind) Case {
	c := Case{
		Level: l.name, Kind: kind.Name, Nodes: set.Nodes, Predict: set.Predict, Unavailable: set.UnavailableShards,
		Class: set.Class, Why: set.Why,
	}
	switch {
	case len(set.Nodes) == 0:
		c.Kind = Control
	case !kind.Down && !kind.Serves: // it passes by itself, or leaves its nodes at work: nothing stays down
		none, _ := l.model.SetOf()
		status := l.model.Status(none)
		c.Predict, c.Unavailable = status.Availability, status.UnavailableShards()
		c.Why = "the fault takes nothing down for good, so whatever it hits must serve on or come back; the set is " + string(set.Class)
	}
	if c.Unavailable == nil {
		c.Unavailable = []int{}
	}
	c.ID = strings.Join([]string{l.suite, c.Kind, set.ID}, ":")
	c.Sentence = sentence(c, l.table)
	return c
}

// sentence says in words what fails and what must happen.
func sentence(c Case, table string) string {
	what := c.Kind + " {" + strings.Join(c.Nodes, ", ") + "}"
	if c.Kind == Control {
		what = "no fault"
	}
	if c.Predict != faultcalc.Unavailable {
		return fmt.Sprintf("%s: table %s must stay available", what, table)
	}
	shards := make([]string, len(c.Unavailable))
	for i, s := range c.Unavailable {
		shards[i] = strconv.Itoa(s)
	}
	return fmt.Sprintf("%s: table %s must become unavailable (shard %s), and recover", what, table, strings.Join(shards, ", "))
}

// Cover says for each level what share of its fault sets the cases decide, given that each went as predicted.
func Cover(topology faultcalc.Topology, levels []faultcalc.Level, cases []Case) ([]Coverage, error) {
	all := make([]Coverage, 0, len(levels))
	for _, level := range levels {
		model, err := faultcalc.Compile(topology, topology.Tables[0].Name, level)
		if err != nil {
			return nil, fmt.Errorf("cover the level %s: %w", level, err)
		}
		c := model.Coverage(func(yield func(faultcalc.Set) bool) {
			for _, c := range cases {
				if kind, err := fault.ByName(level, c.Kind); c.Level != level || err != nil || !kind.Down {
					continue
				}
				set, err := model.SetOf(c.Nodes...)
				if err == nil && !yield(set) {
					return
				}
			}
		})
		all = append(all, Coverage{Level: level, Nodes: len(model.Nodes()), Decided: c.Decided, PowerSet: c.PowerSet, DecidedShare: c.DecidedShare})
	}
	return all, nil
}

// interleave takes one from each stream in turn.
func interleave(streams []iter.Seq[Case]) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		var next []func() (Case, bool)
		for _, s := range streams {
			pull, stop := iter.Pull(s)
			defer stop()
			next = append(next, pull)
		}
		for at := 0; len(next) > 0; at++ {
			at %= len(next)
			c, ok := next[at]()
			switch {
			case !ok:
				next = slices.Delete(next, at, at+1)
				at--
			case !yield(c):
				return
			}
		}
	}
}
