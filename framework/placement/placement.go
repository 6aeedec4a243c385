// Package placement reads the layout of a deployment: which machines there are, and which of them
// hold the copies of each shard. Providers make the machines from it, targets the instances.
package placement

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"
)

//go:embed default.yaml
var defaultText []byte

// Placement is the layout; its YAML is described in default.yaml, beside this file.
type Placement struct {
	Machines []Machine `json:"machines"`
	Table    string    `json:"table"`
	Shards   []Shard   `json:"shards"`
	DCS      DCS       `json:"dcs"`
	Patroni  Patroni   `json:"patroni"`
	// Disk is what the machines' disks do in a crash: keep what was written, or, Volatile, lose what was not synced.
	Disk string `json:"disk,omitempty"`
	// AllowColocated lets a shard have several copies on one machine, which is then a single point of failure.
	AllowColocated bool `json:"allowColocated,omitempty"`
}

// Machine fails as a whole. Labels name its failure domains.
type Machine struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Shard lists the machines that hold a copy, first the one that holds the first primary.
type Shard struct {
	Number  int      `json:"number"`
	Members []string `json:"members"`
}

// Copy is one copy of a shard.
type Copy struct {
	Instance string // its name
	Machine  string
	Nth      int // of the shard's copies on that machine, from 0
}

// Copies names the shard's copies, in the order of its members.
func (s Shard) Copies() []Copy {
	copies := make([]Copy, len(s.Members))
	on := map[string]int{}
	for i, m := range s.Members {
		copies[i] = Copy{Instance: fmt.Sprintf("s%d-%s", s.Number, m), Machine: m, Nth: on[m]}
		if on[m]++; on[m] > 1 {
			copies[i].Instance += fmt.Sprintf("-%d", on[m])
		}
	}
	return copies
}

// The DCS's programming interfaces.
const (
	Etcd  = "etcd"  // v2: compares before it swaps
	Etcd3 = "etcd3" // v3
)

// Volatile is a kind of disk.
const Volatile = "volatile"

// DCS is the distributed configuration store, on machines of its own.
type DCS struct {
	Machines []string `json:"machines"`
	API      string   `json:"api"`
}

// Patroni holds what is passed on to Patroni as it is.
type Patroni struct {
	// Config is the dynamic configuration, as `patronictl show-config` prints it.
	Config map[string]any `json:"config"`
}

// Default is the placement that is used when none is given.
func Default() (Placement, error) { return Parse("default.yaml", defaultText) }

// Load reads a placement file, or the default for the empty path.
func Load(path string) (Placement, error) {
	if path == "" {
		return Default()
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return Placement{}, fmt.Errorf("read the placement: %w", err)
	}
	return Parse(path, text)
}

// Parse reads a placement; name is for messages. Unknown keys are errors, since a misspelt one would be
// a different experiment.
func Parse(name string, text []byte) (Placement, error) {
	var p Placement
	if err := yaml.UnmarshalStrict(text, &p); err != nil {
		return p, fmt.Errorf("placement %s: %w", name, err)
	}
	if p.DCS.API == "" {
		p.DCS.API = Etcd
	}
	if p.Table == "" {
		p.Table = "t"
	}
	if p.Patroni.Config == nil {
		p.Patroni.Config = map[string]any{}
	}
	if err := p.validate(); err != nil {
		return p, fmt.Errorf("placement %s: %w", name, err)
	}
	return p, nil
}

// nameRule keeps names fit for host names, case ids, file names and SQL identifiers.
var nameRule = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}$`)

func (p Placement) validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	checkName := func(what, name string) {
		if !nameRule.MatchString(name) {
			bad("%s %q: write a lower-case letter, then at most 14 lower-case letters and digits", what, name)
		}
	}
	machines := make([]string, 0, len(p.Machines))
	for _, m := range p.Machines {
		checkName("machine", m.Name)
		if slices.Contains(machines, m.Name) {
			bad("machine %s is listed twice; give every machine a name of its own", m.Name)
		}
		machines = append(machines, m.Name)
	}
	if len(machines) == 0 {
		bad("there are no machines; list at least one, as {name: m1}")
	}
	checkName("table", p.Table)
	if len(p.Shards) == 0 {
		bad("there are no shards; list at least one, as {number: 1, members: [m1, m2]}")
	}
	for i, s := range p.Shards {
		if s.Number < 1 {
			bad("shard number %d: count from 1", s.Number)
		}
		if slices.IndexFunc(p.Shards, func(o Shard) bool { return o.Number == s.Number }) != i {
			bad("shard %d is listed twice; give every shard a number of its own", s.Number)
		}
		if len(s.Members) == 0 {
			bad("shard %d has no members; list the machines that hold its copies", s.Number)
		}
		for j, m := range s.Members {
			if !slices.Contains(machines, m) {
				bad("shard %d has a copy on %q, which is no machine of this placement; there are %v", s.Number, m, machines)
			}
			if slices.Index(s.Members, m) != j && !p.AllowColocated {
				bad("shard %d has two copies on machine %s; they would fail together, so take another machine, or write allowColocated: true", s.Number, m)
			}
		}
	}
	if p.Disk != "" && p.Disk != Volatile {
		bad("disk %q: write %s, or leave it out", p.Disk, Volatile)
	}
	p.validateDCS(machines, checkName, bad)
	return errors.Join(problems...)
}

func (p Placement) validateDCS(machines []string, checkName func(what, name string), bad func(format string, args ...any)) {
	if p.DCS.API != Etcd && p.DCS.API != Etcd3 {
		bad("dcs api %q: write %s or %s", p.DCS.API, Etcd, Etcd3)
	}
	if len(p.DCS.Machines) == 0 {
		bad("the dcs has no machines; list at least one that holds no shard, as machines: [dcs1]")
	}
	for i, m := range p.DCS.Machines {
		checkName("dcs machine", m)
		if slices.Contains(machines, m) {
			bad("the dcs is on machine %s, which fault sets take; give it a machine of its own", m)
		}
		if slices.Index(p.DCS.Machines, m) != i {
			bad("dcs machine %s is listed twice", m)
		}
	}
}

// AllMachines returns the names of all machines: those of the shards, then those of the DCS.
func (p Placement) AllMachines() []string {
	names := make([]string, 0, len(p.Machines)+len(p.DCS.Machines))
	for _, m := range p.Machines {
		names = append(names, m.Name)
	}
	return append(names, p.DCS.Machines...)
}
