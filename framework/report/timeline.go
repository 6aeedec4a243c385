package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// timeline is a case as a picture. Times are in seconds from its zero.
type timeline struct {
	Zero   string  `json:"zero"` // what happened at 0
	From   float64 `json:"from"`
	To     float64 `json:"to"`
	Fault  *span   `json:"fault,omitempty"` // from the injection until it is proven over
	Steps  []mark  `json:"steps"`
	Rows   []row   `json:"rows"`
	Alerts []mark  `json:"alerts,omitempty"`
}

// row is one line of the picture: what was predicted of a shard, or what its clients saw.
type row struct {
	Shard int    `json:"shard"`
	Name  string `json:"name"`
	Spans []span `json:"spans"`
	Marks []mark `json:"marks,omitempty"` // changes of the primary
}

type span struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	State string  `json:"state,omitempty"`
}

type mark struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
	More string  `json:"more,omitempty"`
}

// The states of a span.
const (
	serves       = "served"
	silent       = "not served"
	silentDue    = "not served, as predicted"
	servesUndue  = "served against the prediction"
	acked        = "acknowledged"
	ackedLost    = "acknowledged, then lost"
	predicted    = "predicted to serve"
	predictedNot = "predicted not to serve"
	detecting    = "time to detect"
	promoting    = "time to promote"
	toFirstWrite = "time to the first write"
	restoring    = "time to redundancy, from the heal"
)

const (
	// quiet is how long no answer comes before a shard is shown as not serving. The clients of one shard ask about every
	// 20 ms, and on a busy host answers can be a few tenths of a second apart.
	quiet = 500 * time.Millisecond
	// lead is how much of the time before the injection is shown.
	lead = 3 * time.Second
)

// drawing makes a time line.
type drawing struct {
	*observed
	zero, from, to   time.Duration
	downFrom, downTo time.Duration // when the cut shards must not serve
}

// draw makes the time line of a case.
func (o *observed) draw(v verdict.Verdict, alerts []executor.Alert) *timeline {
	d := drawing{observed: o, to: o.ended}
	t := &timeline{Steps: []mark{}}
	d.zero, t.Zero = o.zero()
	d.from, _ = o.at(history.Started)
	if inject, ok := o.at(history.Inject); ok {
		d.from = max(d.from, inject-lead)
		healed, ok := o.at(history.Healed)
		if !ok {
			healed = o.ended
		}
		t.Fault = &span{From: d.seconds(inject), To: d.seconds(healed)}
		d.downFrom, d.downTo = inject, healed
	}
	t.From, t.To = d.seconds(d.from), d.seconds(d.to)
	for _, s := range o.steps {
		if s.Problem != "" || s.at >= d.from {
			t.Steps = append(t.Steps, mark{d.seconds(max(s.at, d.from)), string(s.Name), s.Problem})
		}
	}
	for _, shard := range o.planned.Shards {
		t.Rows = append(t.Rows, d.shard(shard)...)
		for _, s := range v.Shards {
			if s.Number == shard && s.Failover != nil {
				t.Rows = append(t.Rows, row{Shard: shard, Name: "failover", Spans: d.failover(*s.Failover)})
			}
		}
	}
	for _, a := range alerts {
		t.Alerts = append(t.Alerts, mark{d.seconds(a.Time.Sub(o.runBegan)), a.Tier.String(), a.Message})
	}
	return t
}

// zero is what a case's times are told from.
func (o *observed) zero() (time.Duration, string) {
	if inject, ok := o.at(history.Inject); ok {
		return inject, "the injection"
	}
	began, _ := o.at(history.Started)
	return began, "the start of the case"
}

// shard draws the rows of one shard.
func (d *drawing) shard(number int) []row {
	cut := slices.Contains(d.planned.Unavailable, number) && d.downTo > 0
	forecast := row{Shard: number, Name: "predicted", Spans: []span{d.span(d.from, d.to, predicted)}}
	if cut {
		forecast.Spans = []span{d.span(d.from, d.downFrom, predicted), d.span(d.downFrom, d.downTo, predictedNot), d.span(d.downTo, d.to, predicted)}
	}
	rows := []row{forecast}
	for _, kind := range []history.OpKind{history.OpWrite, history.OpRead} {
		r := row{Shard: number, Name: string(kind) + "s", Spans: d.service(d.served[lane{number, kind}], cut)}
		if kind == history.OpWrite {
			r.Marks = d.promotions(number)
		}
		rows = append(rows, r)
	}
	return append(rows, d.acknowledged(number)...)
}

// failover draws the phases of a failover, one after the other, and the way back to redundancy.
func (d *drawing) failover(f verdict.Failover) (spans []span) {
	at := d.downFrom
	for _, phase := range []struct {
		took  time.Duration
		state string
	}{{f.Detect, detecting}, {f.Promote, promoting}, {f.Serve, toFirstWrite}} {
		spans = append(spans, d.span(at, at+phase.took, phase.state))
		at += phase.took
	}
	if f.Redundancy > 0 {
		spans = append(spans, d.span(d.downTo, d.downTo+f.Redundancy, restoring))
	}
	return spans
}

// service cuts a case into spans with and without answers.
func (d *drawing) service(ends []time.Duration, cut bool) []span {
	var spans []span
	add := func(from, to time.Duration, answered bool) {
		for _, part := range d.parts(from, to, cut) {
			state := serves
			switch {
			case part.due && answered && part.from > d.downFrom+d.planned.Budget.Settle:
				state = servesUndue
			case part.due && !answered:
				state = silentDue
			case !answered:
				state = silent
			}
			spans = append(spans, d.span(part.from, part.to, state))
		}
	}
	within := slices.DeleteFunc(slices.Clone(ends), func(end time.Duration) bool { return end < d.from })
	from, last := d.from, d.from
	for _, end := range append(within, d.to) {
		if end-last > quiet {
			add(from, last, true)
			add(last, end, false)
			from = end
		}
		last = end
	}
	add(from, last, true)
	return spans
}

// part is a stretch of time in which a shard is predicted to serve, or with due not to.
type part struct {
	from, to time.Duration
	due      bool
}

// parts divides a stretch of time where the prediction changes.
func (d *drawing) parts(from, to time.Duration, cut bool) []part {
	edges := []time.Duration{math.MinInt64, d.downFrom, d.downTo, math.MaxInt64}
	if !cut {
		edges = []time.Duration{math.MinInt64, math.MaxInt64}
	}
	var parts []part
	for i := range len(edges) - 1 {
		if p := (part{max(from, edges[i]), min(to, edges[i+1]), i == 1}); p.to > p.from {
			parts = append(parts, p)
		}
	}
	return parts
}

// tenure is a stretch of time in which one instance acknowledged writes.
type tenure struct {
	instance string
	from, to time.Duration
}

// tenures returns who acknowledged a shard's writes when, in the order of time.
func (d *drawing) tenures(shard int) []tenure {
	var all []tenure
	for instance, ends := range d.acks[shard] {
		from, last := time.Duration(-1), time.Duration(0)
		for _, end := range ends {
			if end < d.from {
				continue
			}
			if from >= 0 && end-last > quiet {
				all = append(all, tenure{instance, from, last})
				from = -1
			}
			if from < 0 {
				from = end
			}
			last = end
		}
		if from >= 0 {
			all = append(all, tenure{instance, from, last})
		}
	}
	slices.SortFunc(all, func(a, b tenure) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.instance, b.instance)) })
	return all
}

// promotions marks where another instance began to acknowledge writes.
func (d *drawing) promotions(shard int) []mark {
	var marks []mark
	before := ""
	for _, t := range d.tenures(shard) {
		if before != "" && t.instance != before {
			marks = append(marks, mark{d.seconds(t.from), t.instance, t.instance + " took over from " + before})
		}
		before = t.instance
	}
	return marks
}

// acknowledged gives each instance a row, where more than one acknowledged writes, or one acknowledged what was lost: two at one time
// is a split brain.
func (d *drawing) acknowledged(shard int) []row {
	var rows []row
	add := func(instance string, s span) {
		name := "writes by " + instance
		i := slices.IndexFunc(rows, func(r row) bool { return r.Name == name })
		if i < 0 {
			i = len(rows)
			rows = append(rows, row{Shard: shard, Name: name})
		}
		rows[i].Spans = append(rows[i].Spans, s)
	}
	for _, t := range d.tenures(shard) {
		add(t.instance, d.span(t.from, t.to, acked))
	}
	lost := false
	for _, l := range d.lost {
		if l.shard == shard && l.last >= d.from {
			add(l.instance, d.span(max(l.first, d.from), l.last, ackedLost))
			lost = true
		}
	}
	if len(rows) < 2 && !lost {
		return nil
	}
	return rows
}

func (d *drawing) span(from, to time.Duration, state string) span {
	return span{d.seconds(from), d.seconds(to), state}
}

// seconds converts a time of the run to one of the picture, to the hundredth.
func (d *drawing) seconds(at time.Duration) float64 {
	return math.Round((at-d.zero).Seconds()*100) / 100
}
