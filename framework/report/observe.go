package report

import (
	"cmp"
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
}

// loss is a stretch of time in which one instance acknowledged writes that an audit did not find; what they are is in the verdict.
type loss struct {
	shard       int
	instance    string
	first, last time.Duration
}

// observer reads the histories of a run, which may still be written.
type observer struct {
	dir      string
	topology faultcalc.Topology
	tails    map[string]*reader // by file
	cases    map[string]*observed
}

// reader has got as far as its tail in one history.
type reader struct {
	*observer
	tail  history.Tail
	began time.Time
	acked map[int]map[int64]write // by shard and row
}

// observe looks at a run's directory. A run that never began a case has no history, which is no error.
func observe(dir string, topology faultcalc.Topology) (*observer, error) {
	o := &observer{dir: dir, topology: topology, tails: map[string]*reader{}, cases: map[string]*observed{}}
	return o, o.look()
}

// look reads what is new in the histories.
func (o *observer) look() error {
	files, err := filepath.Glob(filepath.Join(o.dir, "history*.jsonl"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if o.tails[file] == nil {
			o.tails[file] = &reader{observer: o, tail: history.Tail{File: file}, acked: map[int]map[int64]write{}}
		}
		for r, err := range o.tails[file].tail.New() {
			if err != nil {
				return err
			}
			o.tails[file].add(r)
		}
	}
	for _, c := range o.cases {
		for _, ends := range c.served {
			slices.Sort(ends)
		}
		for _, byInstance := range c.acks {
			for _, ends := range byInstance {
				slices.Sort(ends)
			}
		}
	}
	return nil
}

func (o *reader) add(r history.Record) {
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

func (o *reader) answered(c *observed, r history.Record) {
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
	o.acked[r.Op.Shard][r.Op.ID] = write{at, instance}
}

// missed takes out of the acknowledged writes those that the audit does not have. As for a verdict, a write is lost in the case
// whose audit misses it first.
func (o *reader) missed(a history.Audit) (all []loss) {
	for id, w := range o.acked[a.Shard] {
		if a.Has(id) {
			continue
		}
		delete(o.acked[a.Shard], id)
		i := slices.IndexFunc(all, func(l loss) bool { return l.instance == w.instance })
		if i < 0 {
			i = len(all)
			all = append(all, loss{a.Shard, w.instance, w.at, w.at})
		}
		all[i].first, all[i].last = min(all[i].first, w.at), max(all[i].last, w.at)
	}
	slices.SortFunc(all, func(a, b loss) int { return cmp.Compare(a.instance, b.instance) })
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
