package verdict

import (
	"cmp"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

var kinds = []history.OpKind{history.OpWrite, history.OpRead}

// Evidence is what the history says about one case.
type Evidence struct {
	Case    string
	Planned history.Planned

	began, ended time.Duration
	phases       map[history.PhaseName]time.Duration
	problems     []step
	faults       []history.Fault
	served       map[int]map[history.OpKind][]interval // operations that were served, by their end
	tried        map[int][]interval                    // all of them
	load         []loadSample
	lapses       []lapse
	misdeeds     map[int]misdeeds   // by shard
	samples      map[int]*testimony // by shard
	events       []event
	objects      map[object][]access
	sums         map[int][]access            // of all accounts, by shard
	acks         map[int]map[string][]sample // acknowledged writes, by shard and server

	rolesBefore, rolesAfter map[int]string

	shrunk  *history.Shrunk
	repeats []*Evidence // all of the case that this one is the last repeat of
}

type step struct {
	history.Phase
	at time.Duration
}

type interval struct{ from, to time.Duration }

func (i interval) length() time.Duration { return i.to - i.from }

// common is what two intervals have in common; its length is negative when that is nothing.
func (i interval) common(o interval) interval { return interval{max(i.from, o.from), min(i.to, o.to)} }

type loadSample struct {
	at     time.Duration
	factor float64
}

func newEvidence(r history.Record) *Evidence {
	return &Evidence{
		Case: r.Case, Planned: *r.Planned, began: r.At,
		phases: map[history.PhaseName]time.Duration{},
		served: map[int]map[history.OpKind][]interval{}, tried: map[int][]interval{},
		misdeeds: map[int]misdeeds{}, objects: map[object][]access{}, sums: map[int][]access{}, samples: map[int]*testimony{}, acks: map[int]map[string][]sample{},
	}
}

// add takes in what belongs to the case alone.
func (e *Evidence) add(r history.Record) {
	if r.Command == nil && r.Alert == nil && r.Shrunk == nil && r.Event == nil { // those may come late, and an event has another clock
		e.ended = max(e.ended, r.At)
	}
	switch {
	case r.Phase != nil && r.Phase.Problem != "":
		e.problems = append(e.problems, step{*r.Phase, r.At})
	case r.Phase != nil:
		e.phases[r.Phase.Name] = r.At
	case r.Shrunk != nil:
		e.shrunk = r.Shrunk
	case r.Fault != nil:
		e.faults = append(e.faults, *r.Fault)
	case r.Roles != nil && e.rolesBefore == nil:
		e.rolesBefore = r.Roles.Primaries
	case r.Roles != nil:
		e.rolesAfter = r.Roles.Primaries
	case r.Sample != nil:
		e.testify(r)
	case r.Event != nil:
		e.events = append(e.events, event{*r.Event, r.At})
	case r.Op != nil:
		op := interval{r.At, r.At + r.Op.Took}
		if c := classOf(r.Op.Kind); c != nil {
			of := object{c, r.Op.Shard, r.Op.Key}
			e.objects[of] = append(e.objects[of], access{r.Op, op})
		}
		if r.Op.Kind == history.OpSum && r.Op.Outcome == history.OK {
			e.sums[r.Op.Shard] = append(e.sums[r.Op.Shard], access{r.Op, op})
		}
		e.tried[r.Op.Shard] = append(e.tried[r.Op.Shard], op)
		if r.Op.Outcome != history.OK {
			return
		}
		if e.served[r.Op.Shard] == nil {
			e.served[r.Op.Shard] = map[history.OpKind][]interval{}
		}
		e.served[r.Op.Shard][r.Op.Kind] = append(e.served[r.Op.Shard][r.Op.Kind], op)
		if r.Op.Kind == history.OpWrite && r.Op.Server != "" {
			if e.acks[r.Op.Shard] == nil {
				e.acks[r.Op.Shard] = map[string][]sample{}
			}
			e.acks[r.Op.Shard][r.Op.Server] = append(e.acks[r.Op.Shard][r.Op.Server], sample{interval: op, accepted: true})
		}
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

// normalize shortens an interval by how short the host was of resources meanwhile. How short it was while the harness stood still, nobody
// knows: that counts in full.
func (e *Evidence) normalize(i interval) time.Duration {
	normalized := e.weighted(i)
	for _, l := range e.lapses {
		if both := l.common(i); l.Kind == history.Stall && both.length() > 0 {
			normalized += both.length() - e.weighted(both)
		}
	}
	return normalized
}

// weighted divides an interval by the load: each sample's factor holds until the next.
func (e *Evidence) weighted(i interval) time.Duration {
	var total float64
	at, factor := i.from, 1.0
	next, _ := slices.BinarySearchFunc(e.load, i.from, func(s loadSample, at time.Duration) int { return cmp.Compare(s.at, at+1) })
	if next > 0 {
		factor = e.load[next-1].factor
	}
	for _, sample := range e.load[next:] {
		if sample.at >= i.to {
			break
		}
		total += float64(sample.at-at) / factor
		at, factor = sample.at, sample.factor
	}
	return time.Duration(total + float64(i.to-at)/factor)
}
