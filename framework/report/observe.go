package report

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/history"
)

// observed is what the histories say about one case, as far as the page shows it. Times are since the start of the run.
type observed struct {
	planned  history.Planned
	runBegan time.Time
	steps    []step
	served   map[lane][]time.Duration           // when an answer came, by shard and kind of operation
	acks     map[int]map[string][]time.Duration // when a write was acknowledged, by shard and instance
	lost     []loss
	ended    time.Duration
}

// lane is one line of a time line.
type lane struct {
	shard int
	kind  history.OpKind
}

type step struct {
	at time.Duration
	history.Phase
}

// at returns when a step was reached.
func (o *observed) at(name history.PhaseName) (time.Duration, bool) {
	i := slices.IndexFunc(o.steps, func(s step) bool { return s.Name == name && s.Problem == "" })
	if i < 0 {
		return 0, false
	}
	return o.steps[i].at, true
}

// write is an acknowledged write, until an audit misses it.
type write struct {
	at       time.Duration
	instance string
	in       string // the case
}

// loss is what one instance acknowledged in one case and a later audit did not find.
type loss struct {
	Shard       int
	Instance    string
	In          string // the case in which it was acknowledged
	Count       int
	First, Last time.Duration // when it was acknowledged, since the start of the run
	IDs         []int64       // the first of them
}

const mostLostIDs = 8 // shown of a loss; report.json has more

// observer reads one history.
type observer struct {
	topology faultcalc.Topology
	began    time.Time
	cases    map[string]*observed
	acked    map[int]map[int64]write // by shard and row
}

// observe reads the histories in a run's directory. A run that never began a case has none, which is no error.
func observe(dir string, topology faultcalc.Topology) (map[string]*observed, error) {
	files, err := filepath.Glob(filepath.Join(dir, "history*.jsonl"))
	if err != nil {
		return nil, err
	}
	all := map[string]*observed{}
	for _, file := range files {
		o := observer{topology: topology, cases: all, acked: map[int]map[int64]write{}}
		for r, err := range history.Read(file) {
			if err != nil {
				return nil, err
			}
			o.add(r)
		}
	}
	for _, o := range all {
		for _, ends := range o.served {
			slices.Sort(ends)
		}
		for _, byInstance := range o.acks {
			for _, ends := range byInstance {
				slices.Sort(ends)
			}
		}
	}
	return all, nil
}

func (o *observer) add(r history.Record) {
	if r.Run != nil {
		o.began = r.Run.Began
	}
	if r.Planned != nil {
		o.cases[r.Case] = &observed{
			planned: *r.Planned, runBegan: o.began,
			served: map[lane][]time.Duration{}, acks: map[int]map[string][]time.Duration{},
		}
	}
	c := o.cases[r.Case]
	if c == nil {
		return
	}
	switch {
	case r.Phase != nil:
		c.steps = append(c.steps, step{r.At, *r.Phase})
		c.ended = max(c.ended, r.At)
	case r.Op != nil && r.Op.Outcome == history.OK:
		o.answered(c, r)
	case r.Audit != nil:
		c.lost = append(c.lost, o.missed(*r.Audit)...)
	}
}

func (o *observer) answered(c *observed, r history.Record) {
	at := r.At + r.Op.Took
	c.ended = max(c.ended, at)
	on := lane{r.Op.Shard, r.Op.Kind}
	c.served[on] = append(c.served[on], at)
	if r.Op.Kind != history.OpWrite {
		return
	}
	instance := instanceAt(o.topology, r.Op.Shard, r.Op.Server)
	if c.acks[r.Op.Shard] == nil {
		c.acks[r.Op.Shard] = map[string][]time.Duration{}
	}
	c.acks[r.Op.Shard][instance] = append(c.acks[r.Op.Shard][instance], at)
	if o.acked[r.Op.Shard] == nil {
		o.acked[r.Op.Shard] = map[int64]write{}
	}
	o.acked[r.Op.Shard][r.Op.ID] = write{at, instance, r.Case}
}

// missed takes out of the acknowledged writes those that the audit does not have. As for a verdict, a write is lost in the case
// whose audit misses it first.
func (o *observer) missed(a history.Audit) []loss {
	type key struct{ instance, in string }
	var gone []int64
	for id := range o.acked[a.Shard] {
		if !a.Has(id) {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	var all []loss
	index := map[key]int{}
	for _, id := range gone {
		w := o.acked[a.Shard][id]
		delete(o.acked[a.Shard], id)
		i, ok := index[key{w.instance, w.in}]
		if !ok {
			i = len(all)
			index[key{w.instance, w.in}] = i
			all = append(all, loss{Shard: a.Shard, Instance: w.instance, In: w.in, First: w.at, Last: w.at})
		}
		l := &all[i]
		l.Count++
		l.First, l.Last = min(l.First, w.at), max(l.Last, w.at)
		if len(l.IDs) < mostLostIDs {
			l.IDs = append(l.IDs, id)
		}
	}
	return all
}

// instanceAt names the shard's instance that a client reached at an address: the one with that address, or the shard's one on the
// machine with that address. Where neither is known it is the address.
func instanceAt(topology faultcalc.Topology, shard int, address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	machine := ""
	for _, m := range topology.Machines {
		if slices.Contains(m.Addresses, host) {
			machine = m.Name
		}
	}
	found := ""
	for _, i := range topology.Instances {
		switch {
		case strings.EqualFold(i.Address, address):
			return i.Name
		case machine != "" && i.Machine == machine && holds(topology, shard, i.Name):
			found = i.Name
		}
	}
	if found == "" {
		return address
	}
	return found
}

// holds tells whether the instance has a copy of the shard.
func holds(topology faultcalc.Topology, shard int, instance string) bool {
	for _, t := range topology.Tables {
		for _, s := range t.Shards {
			if s.Number == shard && slices.ContainsFunc(s.Replicas, func(r faultcalc.Replica) bool { return r.Instance == instance }) {
				return true
			}
		}
	}
	return false
}
