// Package plan turns fault sets into cases, and freezes them: the ordered, fingerprinted list of what
// a run does, made once and read by everything else.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/fault"
)

// ErrNoCase is wrapped by the error for a case id that the plan does not have.
var ErrNoCase = errors.New("no such case in the plan")

// Case is a fault set, a way to fail, and what has to happen. Its JSON is part of plan.json.
type Case struct {
	ID          string                 `json:"id"`
	Level       faultcalc.Level        `json:"level"`
	Kind        string                 `json:"kind"` // of fault; "none" for the control case
	Nodes       []string               `json:"nodes"`
	Predict     faultcalc.Availability `json:"predict"`
	Unavailable []int                  `json:"unavailableShards"`
	Class       faultcalc.Class        `json:"class"`
	Why         string                 `json:"why"`
	Sentence    string                 `json:"sentence"`
	// Of is the id of the case in the plan that this one is the Repeat-th run of; "" where it is the only one.
	Of     string `json:"of,omitempty"`
	Repeat int    `json:"repeat,omitempty"` // from 1
}

// Control is the kind of the case in which nothing fails.
const Control = "none"

// LeftOut is a case, or what remains of a level, that the run does not do.
type LeftOut struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Coverage says what share of a level's fault sets the plan's cases decide.
type Coverage struct {
	Level        faultcalc.Level `json:"level"`
	Nodes        int             `json:"nodes"`
	Decided      *big.Int        `json:"decided"`
	PowerSet     *big.Int        `json:"powerSet"`
	DecidedShare float64         `json:"decidedShare"`
}

func (c Coverage) String() string {
	return fmt.Sprintf("%s: %d of %d fault sets decided (%.1f %%)", c.Level, c.Decided, c.PowerSet, 100*c.DecidedShare)
}

// Plan is what a run does. Equal topologies and specs give equal bytes.
type Plan struct {
	Suite       string     `json:"suite"`
	Table       string     `json:"table"`
	Seed        int64      `json:"seed"`
	Fingerprint string     `json:"fingerprint"` // of the topology
	Shards      []int      `json:"shards"`
	Cases       []Case     `json:"cases"`
	LeftOut     []LeftOut  `json:"leftOut"`
	Coverage    []Coverage `json:"coverage"`
}

// Spec says what to plan.
type Spec struct {
	Suite   string
	Seed    int64
	Levels  []faultcalc.Level
	Kinds   []string // fault kinds; those that a level does not have are passed over
	MaxSize int      // of fault sets; 0 for any
	Only    string   // the id of the one case to do, whatever the budget; "" for all
	// MaxCases and MaxTime bound the run; a case is reckoned to take EachCase.
	MaxCases          int
	MaxTime, EachCase time.Duration
	// Unsupported says why a fault kind can't be injected, or "".
	Unsupported func(level faultcalc.Level, kind string) string
}

// Make plans: the boundary of every level first, each fault set with one kind of fault in turn, then the
// same sets with the other kinds, then the rest of the published fault factors in the same way. The
// levels take turns.
func Make(topology faultcalc.Topology, spec Spec) (Plan, error) {
	table := topology.Tables[0]
	p := Plan{Suite: spec.Suite, Table: table.Name, Seed: spec.Seed, Fingerprint: Fingerprint(topology), Cases: []Case{}, LeftOut: []LeftOut{}}
	for _, s := range table.Shards {
		p.Shards = append(p.Shards, s.Number)
	}
	var levels []*level
	for _, name := range spec.Levels {
		l, err := newLevel(topology, name, spec)
		if err != nil {
			return p, err
		}
		levels = append(levels, l)
	}
	most, reason := budget(spec)
	for _, stage := range []stage{boundaryOnce, boundaryRest, factorsOnce, factorsRest} {
		var streams []iter.Seq[Case]
		for _, l := range levels {
			streams = append(streams, l.candidates(stage))
		}
		for c := range interleave(streams) {
			if reason := leftOut(c, len(p.Cases) < most, reason, spec); reason != "" {
				p.LeftOut = append(p.LeftOut, LeftOut{c.ID, reason})
				continue
			}
			p.Cases = append(p.Cases, c)
		}
	}
	for _, l := range levels {
		for _, other := range l.others {
			p.LeftOut = append(p.LeftOut, other)
			if strings.HasPrefix(spec.Only, strings.TrimSuffix(other.ID, "…")) {
				return p, fmt.Errorf("%w: %s: %s", ErrNoCase, spec.Only, other.Reason)
			}
		}
		if l.more {
			p.LeftOut = append(p.LeftOut, LeftOut{string(l.name) + ":…", fmt.Sprintf("more than %d fault sets; not listed", mostSets)})
		}
	}
	var err error
	if spec.Only != "" && len(p.Cases) == 0 {
		only, err := byID(topology, spec)
		if err != nil {
			return p, err
		}
		p.Cases = append(p.Cases, only)
	}
	p.Coverage, err = Cover(topology, spec.Levels, p.Cases)
	return p, err
}

// budget returns how many cases fit, and why not more.
func budget(spec Spec) (cases int, reason string) {
	if fit := int(spec.MaxTime / spec.EachCase); fit < spec.MaxCases {
		return fit, fmt.Sprintf("beyond the budget of %s, at %s a case", spec.MaxTime, spec.EachCase)
	}
	return spec.MaxCases, fmt.Sprintf("beyond the budget of %d cases", spec.MaxCases)
}

// leftOut says why the run does not do the case, or "".
func leftOut(c Case, fits bool, reason string, spec Spec) string {
	switch {
	case spec.Only != "" && c.ID != spec.Only:
		return "only " + spec.Only + " was asked for"
	case spec.Only == "" && !fits:
		return reason
	}
	return ""
}

// Fingerprint identifies what predictions rest on: which copies are where, and which of them may be
// promoted. Who is primary at the moment is not part of it, nor are addresses.
func Fingerprint(topology faultcalc.Topology) string {
	var b strings.Builder
	for _, m := range topology.Machines {
		fmt.Fprintf(&b, "machine %s %v\n", m.Name, m.Labels)
	}
	for _, i := range topology.Instances {
		fmt.Fprintf(&b, "instance %s on %s\n", i.Name, i.Machine)
	}
	for _, t := range topology.Tables {
		for _, s := range t.Shards {
			for _, r := range s.Replicas {
				role := r.Role
				if role == faultcalc.RolePrimary {
					role = faultcalc.RoleStandby
				}
				fmt.Fprintf(&b, "table %s %s/%d shard %d %s/%d: %s %s %s\n", t.Name, t.Rule, t.K, s.Number, s.Rule, s.K, r.Instance, role, r.State)
			}
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}

// Freeze writes the plan to a file that must not exist, in one step.
func (p Plan) Freeze(file string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	part := file + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("freeze the plan: %w", err)
	}
	defer os.Remove(part) //nolint:errcheck // a link of it stays
	if err := os.Link(part, file); err != nil {
		return fmt.Errorf("freeze the plan: %w", err)
	}
	return nil
}

// Part returns the plan with every of-th case only, beginning with the at-th, from 1; the others are left out. The parts of a
// plan have all of its cases between them, and share none.
func (p Plan) Part(at, of int) Plan {
	part := p
	part.Cases, part.LeftOut = []Case{}, slices.Clone(p.LeftOut)
	for i, c := range p.Cases {
		if i%of == at-1 {
			part.Cases = append(part.Cases, c)
		} else {
			part.LeftOut = append(part.LeftOut, LeftOut{c.ID, fmt.Sprintf("done by shard %d of %d", i%of+1, of)})
		}
	}
	return part
}

// Load reads a frozen plan.
func Load(file string) (Plan, error) {
	var p Plan
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, fmt.Errorf("load the plan: %w", err)
	}
	return p, nil
}

// kindsAt returns the kinds of fault that the spec asks for and the level has.
func kindsAt(name faultcalc.Level, names []string) []fault.Kind {
	var kinds []fault.Kind
	for _, k := range fault.Kinds() {
		if k.Level == name && (len(names) == 0 || slices.Contains(names, k.Name)) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}
