// Package history is the append-only record of a run: what every client operation, every fault and
// every command did, one JSON object a line. Verdicts are computed from it alone.
package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Record is one line. Exactly one of the pointers is set.
type Record struct {
	// At is the time since the start of the run, on its monotonic clock, in nanoseconds. Of an
	// operation it is the start.
	At      time.Duration `json:"at"`
	Case    string        `json:"case,omitempty"` // id of the case it belongs to
	Run     *Run          `json:"run,omitempty"`
	Planned *Planned      `json:"planned,omitempty"`
	Phase   *Phase        `json:"phase,omitempty"`
	Op      *Op           `json:"op,omitempty"`
	Fault   *Fault        `json:"fault,omitempty"`
	Load    *Load         `json:"load,omitempty"`
	Roles   *Roles        `json:"roles,omitempty"`
	Audit   *Audit        `json:"audit,omitempty"`
	Sample  *Sample       `json:"sample,omitempty"`
	Lapse   *Lapse        `json:"lapse,omitempty"`
	Event   *Event        `json:"event,omitempty"`
	Shrunk  *Shrunk       `json:"shrunk,omitempty"`
	Command any           `json:"command,omitempty"` // an attempt of the executor
	Alert   any           `json:"alert,omitempty"`   // a command that was given up
}

// Run opens the history.
type Run struct {
	ID    string    `json:"id"`
	Began time.Time `json:"began"`
}

// Planned opens a case: what was to happen, and what it is judged by. Durations are in nanoseconds
// of load-normalized time.
type Planned struct {
	Kind        string   `json:"kind"`
	Level       string   `json:"level"`
	Nodes       []string `json:"nodes"`
	Shards      []int    `json:"shards"`      // all
	Unavailable []int    `json:"unavailable"` // the ones that must not serve while the fault is active
	Budget      Budget   `json:"budget"`
	// Of is the id of the case that this one is the Repeat-th of Repeats runs of; "" where it is the only one.
	Of      string `json:"of,omitempty"`
	Repeat  int    `json:"repeat,omitempty"`
	Repeats int    `json:"repeats,omitempty"`
}

// Budget bounds what a target may take.
type Budget struct {
	Outage     time.Duration `json:"outage"`             // without service, where it is predicted to be available
	Settle     time.Duration `json:"settle"`             // until it refuses, where it is predicted to be unavailable
	Redundancy time.Duration `json:"redundancy"`         // from the heal to all copies in place
	Traffic    int           `json:"traffic"`            // operations of each kind that a shard serves before the fault
	Slowdown   float64       `json:"slowdown,omitempty"` // by what factor writes may become slower, outages apart
	// Quantiles bound the outages of a case over all of its repeats; see [Quantile] for the keys.
	Quantiles map[string]time.Duration `json:"quantiles,omitempty"`
}

// Quantile returns which share of a distribution the key of a budget stands for: 0.9 for p90. p1 to p100 are keys.
func Quantile(key string) (share float64, ok bool) {
	percent, err := strconv.Atoi(strings.TrimPrefix(key, "p"))
	return float64(percent) / 100, err == nil && percent >= 1 && percent <= 100 && key == fmt.Sprint("p", percent)
}

// PhaseName names a step of a case, in the order of the constants.
type PhaseName string

// The steps of a case. Each record marks the end of the step before.
const (
	Started   PhaseName = "started"   // clients are running
	Steady    PhaseName = "steady"    // every shard has served enough
	Inject    PhaseName = "inject"    // the first fault is about to be injected
	Bit       PhaseName = "bit"       // every fault of the set is proven active
	Heal      PhaseName = "heal"      // the first heal is about to be tried
	Healed    PhaseName = "healed"    // no fault of the set is active any more
	Redundant PhaseName = "redundant" // every copy is in place, and every shard serves
	Ended     PhaseName = "ended"     // clients have stopped
)

// Phase says that a step was reached, or with Problem that it was not, and what was seen last.
type Phase struct {
	Name    PhaseName `json:"name"`
	Problem string    `json:"problem,omitempty"`
	// Blame of the problem: product, harness or infrastructure.
	Blame string `json:"blame,omitempty"`
	// MissedBy is by how much the limit was missed where the step had one, load-normalized, in nanoseconds.
	MissedBy time.Duration `json:"missedBy,omitempty"`
}

// OpKind is what a client does.
type OpKind string

// The operations.
const (
	OpWrite OpKind = "write"
	OpRead  OpKind = "read"
	// OpSet and OpGet are of a register: a single value that is overwritten.
	OpSet OpKind = "set"
	OpGet OpKind = "get"
	// OpAppend and OpList are of a list: a value is added at its end, and all of it is returned.
	OpAppend OpKind = "append"
	OpList   OpKind = "list"
	// OpTransfer moves an amount between two accounts, and OpSum adds them all up.
	OpTransfer OpKind = "transfer"
	OpSum      OpKind = "sum"
)

// Outcome is what a client knows of its operation.
type Outcome string

// The outcomes. Unknown: it was sent, and no answer came, or one that promises less than the client asked for.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Unknown Outcome = "unknown"
)

// Op is one operation of one client.
type Op struct {
	Client  string        `json:"client"`
	Shard   int           `json:"shard"`
	Kind    OpKind        `json:"kind"`
	ID      int64         `json:"id,omitempty"`    // of the row it writes, or reads
	Key     string        `json:"key,omitempty"`   // of the register that it sets or gets, or of the list
	Value   int64         `json:"value,omitempty"` // that it sets, got or appends; an amount, a sum
	Items   []int64       `json:"items,omitempty"` // of the list that it got
	Took    time.Duration `json:"took"`
	Outcome Outcome       `json:"outcome"`
	Server  string        `json:"server,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Fault is a look at one member of the fault set.
type Fault struct {
	Node   string `json:"node"`
	When   string `json:"when"` // before, bit, lasted, healed
	Active bool   `json:"active"`
	Seen   string `json:"seen"`
}

// Load is a sample of how short this host is of CPU, memory or I/O: Factor is by how much a budget
// stretches at that moment, 1 on an idle host.
type Load struct {
	Factor float64 `json:"factor"`
}

// LapseKind is what the harness noticed of itself.
type LapseKind string

// The lapses.
const (
	Stall   LapseKind = "stall"   // all of it stood still
	Jump    LapseKind = "jump"    // the wall clock moved against the monotonic one
	Dropped LapseKind = "dropped" // a look of the observer waited too long for its turn, or had none
)

// Lapse is something for which the harness is to blame, and nobody else.
type Lapse struct {
	Kind LapseKind     `json:"kind"`
	Took time.Duration `json:"took"`           // how long it stood still, or a look waited, from Record.At on
	By   time.Duration `json:"by,omitempty"`   // how far the clock jumped
	Node string        `json:"node,omitempty"` // at which the observer did not look
}

// Roles says who is primary of which shard.
type Roles struct {
	Primaries map[int]string `json:"primaries"`
}

// Sample is a look of the observer at one instance. It says nothing of itself where there is an Error before its answer.
type Sample struct {
	Instance string        `json:"instance"`
	Shard    int           `json:"shard"`
	Server   string        `json:"server,omitempty"` // its address, as clients know it
	Took     time.Duration `json:"took"`
	Primary  bool          `json:"primary,omitempty"` // it is not in recovery, and not read-only
	Timeline int           `json:"timeline,omitempty"`
	Accepted bool          `json:"accepted,omitempty"` // it acknowledged the observer's own write
	Error    string        `json:"error,omitempty"`
}

// EventName is what a server's own log tells of a change of primaries.
type EventName string

// The events.
const (
	Locked   EventName = "locked"   // the instance's supervisor took the leader's lock
	Promoted EventName = "promoted" // its server left recovery
	Demoted  EventName = "demoted"  // its supervisor gave the lead up
)

// Event is a line of a server's log, or of its supervisor's. Record.At is when it happened, by the log's own clock.
type Event struct {
	Instance string    `json:"instance"`
	Shard    int       `json:"shard"`
	Name     EventName `json:"name"`
	Text     string    `json:"text"` // the line
}

// Shrunk is what came of failing parts of a failed case's fault set.
type Shrunk struct {
	Nodes []string `json:"nodes"` // the smallest set found that still fails
	Case  string   `json:"case"`  // id of the case that fails them
	Tried []Tried  `json:"tried"` // in order
	Ended string   `json:"ended"` // why nothing smaller was tried
}

// Tried is one part.
type Tried struct {
	Case    string   `json:"case"`
	Nodes   []string `json:"nodes"`
	Outcome string   `json:"outcome"` // of the case's verdict
	Seen    string   `json:"seen"`    // the verdict in words
}

// Audit is what a shard holds at the end of a case, of everything that was written in the run.
type Audit struct {
	Shard int `json:"shard"`
	// Step is the distance of the ids that go to the same shard, and Ranges the ids that are there: the first and the
	// last of each unbroken row of steps.
	Step   int64      `json:"step"`
	Ranges [][2]int64 `json:"ranges"`
	Twice  []int64    `json:"twice,omitempty"` // ids that are there more than once
}

// Add adds the next higher id.
func (a *Audit) Add(id int64) {
	if last := len(a.Ranges) - 1; last >= 0 && a.Ranges[last][1]+a.Step == id {
		a.Ranges[last][1] = id
		return
	}
	a.Ranges = append(a.Ranges, [2]int64{id, id})
}

// Has tells whether the id is there.
func (a *Audit) Has(id int64) bool {
	at, found := slices.BinarySearchFunc(a.Ranges, id, func(r [2]int64, id int64) int { return cmp.Compare(r[0], id) })
	return found || at > 0 && id <= a.Ranges[at-1][1] && (id-a.Ranges[at-1][0])%a.Step == 0
}

// Recorder appends to a history. It is safe for concurrent use.
type Recorder struct {
	began time.Time

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	err  error // the first
}

// Create starts a new history in the file, which must not exist.
func Create(file, run string) (*Recorder, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller's file
	if err != nil {
		return nil, fmt.Errorf("start the history: %w", err)
	}
	r := &Recorder{began: time.Now(), file: f, out: bufio.NewWriter(f)}
	r.Add(Record{Run: &Run{ID: run, Began: r.began}})
	return r, nil
}

// Now is the time since the start of the run.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Since converts a time on this process's clock.
func (r *Recorder) Since(t time.Time) time.Duration { return t.Sub(r.began) }

// Add appends the record, stamped with the present time unless it has one. Everything but operations
// and samples is flushed at once, so that a killed run leaves a history up to its last step. An error
// is kept for Close, as no client can do anything about it.
func (r *Recorder) Add(record Record) {
	if record.At == 0 {
		record.At = r.Now()
	}
	line, err := json.Marshal(record)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	if err == nil && record.Op == nil && record.Load == nil && record.Command == nil && record.Sample == nil {
		err = r.out.Flush()
	}
	r.err = err
}

// Flush writes out what is buffered.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, r.out.Flush())
}

// Close ends the history and reports the first error that any of its records met.
func (r *Recorder) Close() error {
	if err := errors.Join(r.Flush(), r.file.Close()); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// Read yields the records of a history file. A last line that was cut short, as by a kill, ends it without an error.
func Read(file string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { (&Tail{File: file}).New()(yield) }
}

// Tail reads a history that is still written.
type Tail struct {
	File string

	offset int64
	line   int
}

// New yields the records after the last that it has yielded, as far as they are complete.
func (t *Tail) New() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		f, err := os.Open(t.File)
		if err == nil {
			defer f.Close() //nolint:errcheck // read only
			_, err = f.Seek(t.offset, io.SeekStart)
		}
		if err != nil {
			yield(Record{}, err)
			return
		}
		for in := bufio.NewReader(f); ; {
			line, err := in.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			t.offset += int64(len(line))
			t.line++
			var record Record
			if err == nil {
				err = json.Unmarshal(line, &record)
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("%s:%d: %w", t.File, t.line, err))
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}
