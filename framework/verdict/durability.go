package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// Bounds of what a finding lists; it counts all.
const (
	mostIDs    = 100
	mostWrites = 20
)

// The messages of findings about writes, each with the shard and how many.
const (
	lostWrites   = "shard %d lost %d acknowledged writes"
	twiceWrites  = "shard %d applied %d writes more than once"
	undeadWrites = "shard %d has %d writes that it had refused"
)

// Lost is how many acknowledged writes the finding says are gone.
func (f Finding) Lost() (lost int) {
	shard := 0
	if n, err := fmt.Sscanf(f.Message, lostWrites, &shard, &lost); f.Judge != durability || n < 2 || err != nil {
		return 0
	}
	return lost
}

// Write is a client's write that the database did not treat as it had told the client.
type Write struct {
	ID       int64         `json:"id"`
	Client   string        `json:"client,omitempty"`
	Server   string        `json:"server,omitempty"`   // the address that answered
	Instance string        `json:"instance,omitempty"` // the one at that address, where it is known
	Answered time.Duration `json:"answered"`           // since the start of the run, in nanoseconds
	Case     string        `json:"case"`               // in which it was written
	Fault    string        `json:"fault,omitempty"`    // that was open then
}

// write is what a client knows of one of its writes.
type write struct {
	op       *history.Op
	answered time.Duration
	in       *Evidence
}

// ledger has all writes of a run, by shard and id, that no audit has contradicted.
type ledger struct {
	writes map[int]map[int64]write
	twice  map[int64]bool
}

func (l *ledger) add(r history.Record, in *Evidence) {
	// A write that was never sent has no id and no server.
	if r.Op.Kind != history.OpWrite || r.Op.ID == 0 && r.Op.Server == "" && r.Op.Outcome != history.OK {
		return
	}
	if l.writes[r.Op.Shard] == nil {
		l.writes[r.Op.Shard] = map[int64]write{}
	}
	l.writes[r.Op.Shard][r.Op.ID] = write{r.Op, r.At + r.Op.Took, in}
}

// misdeeds are the writes of one shard that one audit contradicts.
type misdeeds struct {
	lost    []write // acknowledged, and not there
	undead  []write // refused, and there
	twice   []write // there more than once
	audited bool
}

// audit compares what a shard holds with what its clients were told, and adds to the misdeeds. What it contradicts is
// held against the case whose audit finds it first. A write whose outcome was uncertain may be there or not.
func (l *ledger) audit(a history.Audit, m misdeeds) misdeeds {
	m.audited = true
	for id, w := range l.writes[a.Shard] {
		switch has := a.Has(id); {
		case w.op.Outcome == history.OK && !has:
			m.lost = append(m.lost, w)
		case w.op.Outcome == history.Refused && has:
			m.undead = append(m.undead, w)
		default:
			continue
		}
		delete(l.writes[a.Shard], id)
	}
	for _, id := range a.Twice {
		if l.twice[id] {
			continue
		}
		l.twice[id] = true
		w, known := l.writes[a.Shard][id]
		if !known {
			w.op = &history.Op{ID: id}
		}
		m.twice = append(m.twice, w)
	}
	for _, list := range [][]write{m.lost, m.undead, m.twice} {
		slices.SortFunc(list, func(a, b write) int { return cmp.Compare(a.op.ID, b.op.ID) })
	}
	return m
}

// durable: every acknowledged write is there, once, and no refused one is.
func durable(e *Evidence) (found []Finding) {
	for _, shard := range e.Planned.Shards {
		m := e.misdeeds[shard]
		found = append(found, e.convict(shard, m.lost, lostWrites)...)
		found = append(found, e.convict(shard, m.twice, twiceWrites)...)
		found = append(found, e.convict(shard, m.undead, undeadWrites)...)
		// Where the shard did not come back, that is the finding.
		if e.between(history.Redundant, history.Ended).length() > 0 && !m.audited {
			found = append(found, Finding{Judge: durability, Outcome: Indeterminate, Blame: Harness, Shard: shard, Message: fmt.Sprintf("shard %d was not audited", shard)})
		}
	}
	return found
}

// convict makes a finding of the writes, if there are any.
func (e *Evidence) convict(shard int, writes []write, message string) []Finding {
	if len(writes) == 0 {
		return nil
	}
	f := Finding{Judge: durability, Outcome: Fail, Blame: Product, Shard: shard, Count: len(writes), Message: fmt.Sprintf(message, shard, len(writes))}
	for _, w := range writes[:min(len(writes), mostIDs)] {
		f.IDs = append(f.IDs, w.op.ID)
	}
	for _, w := range writes[:min(len(writes), mostWrites)] {
		f.Writes = append(f.Writes, w.describe())
	}
	return []Finding{f}
}

func (w write) describe() Write {
	d := Write{ID: w.op.ID, Client: w.op.Client, Server: w.op.Server, Answered: w.answered}
	if w.in != nil {
		d.Case, d.Fault = w.in.Case, w.in.openAt(w.answered)
		d.Instance = w.in.instanceAt(w.op.Shard, w.op.Server)
	}
	return d
}

// openAt names the case's fault if it was open at that time: from the injection until it was proven over.
func (e *Evidence) openAt(at time.Duration) string {
	injected, ok := e.phases[history.Inject]
	healed, over := e.phases[history.Healed]
	if !ok || at < injected || over && at >= healed {
		return ""
	}
	return fmt.Sprintf("%s {%s}", e.Planned.Kind, strings.Join(e.Planned.Nodes, ", "))
}
