package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const splitBrain = "split brain"

// linked is how far two samples of an instance may be apart for what both say to hold in between.
const linked = 2 * time.Second

const mostNotes = 10

// tenure is a time in which an instance was primary for certain: from the end of one proof to the start of another, with
// no sign of anything else between them. It is shorter than the truth by up to a sample at either end.
type tenure struct {
	instance string
	timeline int
	interval
}

// sample is a look of the observer, or a client's acknowledged write, at one instance.
type sample struct {
	interval
	timeline int
	primary  bool // it says that it is one
	accepted bool // it acknowledged a write
}

// testimony is what there is about the instances of one shard, by instance.
type testimony struct {
	samples map[string][]sample
	at      map[string]string // the instance at an address; "" where there were several
}

func (e *Evidence) testify(r history.Record) {
	s := r.Sample
	if s.Instance == "" {
		return
	}
	t := e.testimony(s.Shard)
	t.samples[s.Instance] = append(t.samples[s.Instance], sample{
		interval: interval{r.At, r.At + s.Took}, timeline: s.Timeline, primary: s.Primary, accepted: s.Accepted,
	})
	if before, known := t.at[s.Server]; known && before != s.Instance {
		t.at[s.Server] = ""
	} else if s.Server != "" {
		t.at[s.Server] = s.Instance
	}
}

func (e *Evidence) testimony(shard int) *testimony {
	if e.samples[shard] == nil {
		e.samples[shard] = &testimony{samples: map[string][]sample{}, at: map[string]string{}}
	}
	return e.samples[shard]
}

// instanceAt is the shard's instance at an address, or "".
func (e *Evidence) instanceAt(shard int, server string) string {
	if t := e.samples[shard]; t != nil {
		return t.at[server]
	}
	return ""
}

// oneWriter: no two instances of a shard accept writes at one time. Only what they acknowledged counts: a primary that
// is cut off may say for long that it is one.
func oneWriter(e *Evidence) (found []Finding) {
	for _, shard := range e.Planned.Shards {
		for _, o := range e.overlaps(shard, func(s sample) bool { return s.accepted }) {
			f := Finding{
				Judge: splitBrain, Outcome: Fail, Blame: Product, Shard: shard, From: o.from, To: o.to,
				Instances: []string{o.old.instance, o.young.instance},
				Message: fmt.Sprintf("shard %d had two writable primaries for %s%s: %s and %s",
					shard, seconds(o.length()), e.sinceInjection(o.interval), o.old.name(), o.young.name()),
			}
			if acks := e.acknowledged(shard, o.old.instance, o.young.interval); acks > 0 {
				f.Count = acks
				f.Message += fmt.Sprintf("; %s, deposed, acknowledged %d writes of clients meanwhile", o.old.instance, acks)
			}
			found = append(found, f)
		}
	}
	return found
}

// claims are the times in which two instances said that they were primary, and did not both accept writes.
func (e *Evidence) claims() (notes []string) {
	for _, shard := range e.Planned.Shards {
		proven := e.overlaps(shard, func(s sample) bool { return s.accepted })
		for _, o := range e.overlaps(shard, func(s sample) bool { return s.primary || s.accepted }) {
			if slices.ContainsFunc(proven, func(p overlap) bool { return p.from < o.to && o.from < p.to }) {
				continue
			}
			notes = append(notes, fmt.Sprintf("shard %d: %s and %s both said for %s%s that they were primary, and did not both accept writes",
				shard, o.old.name(), o.young.name(), seconds(o.length()), e.sinceInjection(o.interval)))
		}
	}
	return notes[:min(len(notes), mostNotes)]
}

// overlap is a time in which two instances of a shard were primary.
type overlap struct {
	interval
	old, young tenure // young took over while old held on
}

func (e *Evidence) overlaps(shard int, is func(sample) bool) []overlap {
	tenures := e.tenures(shard, is)
	var all []overlap
	for i, a := range tenures {
		for _, b := range tenures[i+1:] {
			o := overlap{a.common(b.interval), a, b}
			if a.instance == b.instance || o.length() <= 0 {
				continue
			}
			if a.timeline > b.timeline && b.timeline > 0 {
				o.old, o.young = b, a
			}
			all = append(all, o)
		}
	}
	return all
}

// tenures returns when each of the shard's instances was what is asked for, in the order of their start.
func (e *Evidence) tenures(shard int, is func(sample) bool) []tenure {
	t := e.samples[shard]
	if t == nil {
		return nil
	}
	samples := maps.Clone(t.samples)
	for server, acks := range e.acks[shard] {
		if instance := t.at[server]; instance != "" {
			samples[instance] = slices.Concat(samples[instance], acks)
		}
	}
	var all []tenure
	for _, instance := range slices.Sorted(maps.Keys(samples)) {
		list := slices.SortedStableFunc(slices.Values(samples[instance]), func(a, b sample) int { return cmp.Compare(a.from, b.from) })
		all = append(all, chain(instance, list, is)...)
	}
	slices.SortStableFunc(all, func(a, b tenure) int { return cmp.Compare(a.from, b.from) })
	return all
}

// chain links the samples of one instance that say one thing to tenures.
func chain(instance string, list []sample, is func(sample) bool) (all []tenure) {
	var open *tenure
	var last time.Duration // end of the last sample of the open tenure
	timeline := 0          // the last that the instance named; clients don't know it
	for _, s := range list {
		holds := is(s)
		timeline = cmp.Or(s.timeline, timeline)
		if open != nil && (!holds || s.from-last > linked || timeline != open.timeline) {
			all, open = append(all, *open), nil
		}
		switch {
		case !holds:
			continue
		case open == nil:
			open = &tenure{instance, timeline, interval{s.to, s.to}}
		default:
			open.to = max(open.to, s.from)
		}
		last = max(last, s.to)
	}
	if open != nil {
		all = append(all, *open)
	}
	return slices.DeleteFunc(all, func(t tenure) bool { return t.length() <= 0 })
}

// acknowledged counts the writes of clients that an instance acknowledged, and that were begun, in a stretch of time.
func (e *Evidence) acknowledged(shard int, instance string, within interval) (count int) {
	for server, acks := range e.acks[shard] {
		if e.instanceAt(shard, server) != instance {
			continue
		}
		for _, s := range acks {
			if s.from >= within.from && s.to <= within.to {
				count++
			}
		}
	}
	return count
}

func (t tenure) name() string {
	if t.timeline == 0 {
		return t.instance
	}
	return fmt.Sprintf("%s (timeline %d)", t.instance, t.timeline)
}

// sinceInjection tells a time in a case as people see it.
func (e *Evidence) sinceInjection(i interval) string {
	injected, ok := e.phases[history.Inject]
	if !ok {
		return ""
	}
	return fmt.Sprintf(", %s to %s after the injection", seconds(i.from-injected), seconds(i.to-injected))
}
