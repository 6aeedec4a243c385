package verdict

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

var kinds = []history.OpKind{history.OpWrite, history.OpRead}

// ErrNoCases means that there is nothing to judge.
var ErrNoCases = errors.New("the history has no cases")

// Evidence is what the history says about one case.
type Evidence struct {
	Case    string
	Planned history.Planned

	began, ended time.Duration
	phases       map[history.PhaseName]time.Duration
	problems     []history.Phase
	faults       []history.Fault
	served       map[int]map[history.OpKind][]interval // operations that were served, by their end
	tried        map[int][]interval                    // all of them
	load         []loadSample
	misdeeds     map[int]misdeeds // by shard

	rolesBefore, rolesAfter map[int]string
}

type interval struct{ from, to time.Duration }

func (i interval) length() time.Duration { return i.to - i.from }

type loadSample struct {
	at     time.Duration
	factor float64
}

// collect reads a history into one piece of evidence for each case.
func collect(records iter.Seq2[history.Record, error]) ([]*Evidence, error) {
	var all []*Evidence
	byCase := map[string]*Evidence{}
	writes := ledger{writes: map[int]map[int64]write{}, twice: map[int64]bool{}}
	var load []loadSample
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		if r.Load != nil {
			load = append(load, loadSample{r.At, r.Load.Factor})
		}
		if r.Planned != nil {
			if byCase[r.Case] != nil {
				return nil, fmt.Errorf("the history has case %s twice", r.Case)
			}
			byCase[r.Case] = newEvidence(r)
			all = append(all, byCase[r.Case])
		}
		e := byCase[r.Case]
		if e == nil {
			continue
		}
		e.ended = max(e.ended, r.At)
		e.add(r)
		switch {
		case r.Op != nil:
			writes.add(r, e)
		case r.Audit != nil:
			e.misdeeds[r.Audit.Shard] = writes.audit(*r.Audit, e.misdeeds[r.Audit.Shard])
		}
	}
	if len(all) == 0 {
		return nil, ErrNoCases
	}
	for _, e := range all {
		e.load = load
		e.sort()
	}
	return all, nil
}

func newEvidence(r history.Record) *Evidence {
	return &Evidence{
		Case: r.Case, Planned: *r.Planned, began: r.At,
		phases: map[history.PhaseName]time.Duration{},
		served: map[int]map[history.OpKind][]interval{}, tried: map[int][]interval{},
		misdeeds: map[int]misdeeds{},
	}
}

// add takes in what belongs to the case alone.
func (e *Evidence) add(r history.Record) {
	switch {
	case r.Phase != nil && r.Phase.Problem != "":
		e.problems = append(e.problems, *r.Phase)
	case r.Phase != nil:
		e.phases[r.Phase.Name] = r.At
	case r.Fault != nil:
		e.faults = append(e.faults, *r.Fault)
	case r.Roles != nil && e.rolesBefore == nil:
		e.rolesBefore = r.Roles.Primaries
	case r.Roles != nil:
		e.rolesAfter = r.Roles.Primaries
	case r.Op != nil:
		op := interval{r.At, r.At + r.Op.Took}
		e.tried[r.Op.Shard] = append(e.tried[r.Op.Shard], op)
		if r.Op.Outcome != history.OK {
			return
		}
		if e.served[r.Op.Shard] == nil {
			e.served[r.Op.Shard] = map[history.OpKind][]interval{}
		}
		e.served[r.Op.Shard][r.Op.Kind] = append(e.served[r.Op.Shard][r.Op.Kind], op)
	}
}

func (e *Evidence) sort() {
	for _, byKind := range e.served {
		for _, ops := range byKind {
			slices.SortFunc(ops, func(a, b interval) int { return int(a.to - b.to) })
		}
	}
}

func (e *Evidence) servedBy(shard int, kind history.OpKind) []interval { return e.served[shard][kind] }

// between is the time from one step to another, empty if the case did not get that far.
func (e *Evidence) between(from, to history.PhaseName) interval {
	began, hasBegun := e.phases[from]
	ended, hasEnded := e.phases[to]
	if !hasBegun || !hasEnded {
		return interval{}
	}
	return interval{began, ended}
}

// recovery is the interval from the heal to the first operation that was begun and served after it.
func (e *Evidence) recovery(shard int, kind history.OpKind) (interval, bool) {
	healed, ok := e.phases[history.Healed]
	if !ok {
		return interval{}, false
	}
	for _, op := range e.servedBy(shard, kind) {
		if op.from >= healed {
			return interval{healed, op.to}, true
		}
	}
	return interval{healed, e.ended}, false
}

// normalize shortens an interval by how short the host was of resources meanwhile: each sample's
// factor holds until the next.
func (e *Evidence) normalize(i interval) time.Duration {
	var total float64
	at, factor := i.from, 1.0
	for _, sample := range e.load {
		if sample.at <= i.from {
			factor = sample.factor
			continue
		}
		if sample.at >= i.to {
			break
		}
		total += float64(sample.at-at) / factor
		at, factor = sample.at, sample.factor
	}
	return time.Duration(total + float64(i.to-at)/factor)
}
