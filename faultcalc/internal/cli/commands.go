package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
)

// setRows lists sets for CSV and the table.
func (a *app) setRows(sets iter.Seq[faultcalc.Set]) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for s := range sets {
			if !yield([]string{strconv.Itoa(s.Len()), braces(a.names(s))}) {
				return
			}
		}
	}
}

var setHeader = []string{"size", "nodes"}

func (a *app) cuts() (*document, error) {
	cuts := a.limited("minimal cut sets", a.model.MinimalCutSets())
	fields := append(a.head(), object{
		{"minimalCutSets", a.listOf(cuts)},
		{"singlePointsOfFailure", a.names(a.model.SinglePointsOfFailure())},
	}...)
	return &document{fields: append(fields, a.tail()...), header: setHeader, rows: a.setRows(cuts)}, nil
}

func (a *app) keepers() (*document, error) {
	list := a.keeperSets()
	minimum := a.minimum()
	fields := append(a.head(), object{
		{"minimalKeeperSets", a.listOf(list)},
		{"minimumKeeperSet", minimum},
	}...)
	d := &document{fields: append(fields, a.tail()...), header: setHeader, rows: a.setRows(list)}
	if m, ok := minimum.(minimumJSON); ok {
		d.notes = []string{fmt.Sprintf("minimum keeper set %s: at least %d, at most %d nodes (%s)", braces(m.Set), m.Lower, m.Upper, m.Why)}
	}
	return d, nil
}

func (a *app) survivable() (*document, error) {
	list := a.survivableSets()
	fields := append(a.head(), object{
		{"maximalSurvivableSets", a.listOf(list)},
		a.exact()[4], // survivableSets
	}...)
	return &document{fields: append(fields, a.tail()...), header: setHeader, rows: a.setRows(list)}, nil
}

// failed is the fault set on the command line.
func (a *app) failed() (faultcalc.Set, error) {
	s, err := a.model.SetOf(a.args...)
	if err != nil {
		return s, fmt.Errorf("%s: %w", a.command, err)
	}
	return s, nil
}

func (a *app) status() (*document, error) {
	failed, err := a.failed()
	if err != nil {
		return nil, err
	}
	st := a.model.Status(failed)
	down := st.UnavailableShards()
	if down == nil {
		down = []int{}
	}
	fields := append(a.head(), object{
		{"failed", a.names(failed)},
		{"availability", st.Availability},
		{"unavailableShards", down},
		{"shards", a.shardList(st)},
	}...)
	return &document{
		fields: append(fields, a.tail()...),
		notes:  []string{fmt.Sprintf("table %s with %s down: %s", a.model.Table(), braces(a.names(failed)), st.Availability)},
		header: []string{"shard", "available", "availability", "by replicas"},
		rows: func(yield func([]string) bool) {
			for _, s := range st.Shards {
				if !yield([]string{strconv.Itoa(s.Number), strconv.Itoa(s.Live), string(s.Availability), string(s.ReplicaAvailability)}) {
					return
				}
			}
		},
	}, nil
}

func (a *app) coverage() (*document, error) {
	sets, err := a.givenCases()
	if err != nil {
		return nil, err
	}
	c := a.model.Coverage(slices.Values(sets))
	var ways []object
	for _, w := range c.Ways {
		ways = append(ways, object{
			{"t", w.T}, {"subsets", w.Subsets}, {"allSubsets", w.AllSubsets}, {"patterns", w.Patterns}, {"allPatterns", w.AllPatterns},
		})
	}
	fields := append(a.head(), object{
		{"decidedShare", a.share(c)},
		{"cases", c.Cases},
		{"decided", decimal(c.Decided)},
		{"powerSet", c.PowerSet.String()},
		{"minimalCutSets", object{{"covered", c.CutsCovered}, {"total", c.Cuts}}},
		{"maximalSurvivableSets", object{{"covered", c.FacetsCovered}, {"total", decimal(c.Facets)}}},
		{"ways", stream(func(yield func(any) bool) {
			for _, w := range ways {
				if !yield(w) {
					return
				}
			}
		})},
	}...)
	share := "unknown"
	if c.Decided != nil {
		share = fmt.Sprintf("%.4g %%", 100*c.DecidedShare)
	}
	rows := [][]string{
		{"decided by monotonicity", share, fmt.Sprint(c.Decided), c.PowerSet.String()},
		{"minimal cut sets", "", strconv.Itoa(c.CutsCovered), strconv.Itoa(c.Cuts)},
		{"maximal survivable sets", "", strconv.Itoa(c.FacetsCovered), fmt.Sprint(c.Facets)},
	}
	for _, w := range c.Ways {
		rows = append(rows,
			[]string{fmt.Sprintf("%d-subsets down together", w.T), "", fmt.Sprint(w.Subsets), fmt.Sprint(w.AllSubsets)},
			[]string{fmt.Sprintf("%d-way up/down patterns", w.T), "", fmt.Sprint(w.Patterns), fmt.Sprint(w.AllPatterns)})
	}
	return &document{
		fields: append(fields, a.tail()...), notes: []string{fmt.Sprintf("%d cases", c.Cases)},
		header: []string{"what", "share", "covered", "of"}, rows: slices.Values(rows),
	}, nil
}

// givenCases are those of --set and --cases, or the plan if there are none.
func (a *app) givenCases() ([]faultcalc.Set, error) {
	var lists [][]string
	for _, s := range a.sets {
		var nodes list
		if err := nodes.Set(s); err != nil {
			return nil, err
		}
		lists = append(lists, nodes)
	}
	if a.cases != "" {
		more, err := readCases(a.cases, a.stdin)
		if err != nil {
			return nil, err
		}
		lists = append(lists, more...)
	}
	if a.cases == "" && len(a.sets) == 0 {
		p := &planned{app: a}
		for range p.cases() {
			continue
		}
		return p.sets, nil
	}
	var sets []faultcalc.Set
	for i, nodes := range lists {
		s, err := a.model.SetOf(nodes...)
		if err != nil {
			return nil, fmt.Errorf("case %d: %w", i+1, err)
		}
		sets = append(sets, s)
	}
	return sets, nil
}

// readCases reads the cases of a plan, or a line of nodes per case; {} is the
// control case, and lines with # are comments.
func readCases(file string, stdin io.Reader) ([][]string, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	var lists [][]string
	if bytes.Contains(data, []byte(`"cases"`)) {
		var plan struct {
			Cases []struct {
				Nodes []string `json:"nodes"`
			} `json:"cases"`
		}
		if err := json.Unmarshal(data, &plan); err != nil {
			return nil, fmt.Errorf("read cases of %s: %w; write a plan as JSON, or one line of nodes per case", file, err)
		}
		for _, c := range plan.Cases {
			lists = append(lists, c.Nodes)
		}
		return lists, nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		var nodes list
		if err := nodes.Set(strings.Trim(text, "{}")); err != nil {
			return nil, err
		}
		lists = append(lists, nodes)
	}
	return lists, lines.Err()
}

// maxJobs is GitHub's limit on the jobs of a matrix.
const maxJobs = 256

func (a *app) matrix() (*document, error) {
	if a.spec.Parts > 0 {
		return nil, errors.New("matrix splits the plan itself; use --parts n instead of --part")
	}
	var cases []faultcalc.FaultSet
	for f := range (&planned{app: a}).cases() {
		cases = append(cases, f)
	}
	parts := a.parts
	if parts == 0 && len(cases) > maxJobs {
		a.warn("%d cases are more than the %d jobs of a matrix; they are put together", len(cases), maxJobs)
		parts = maxJobs
	}
	var jobs []object
	if parts == 0 {
		for _, f := range cases {
			jobs = append(jobs, object{
				{"name", f.ID}, {"ids", f.ID}, {"class", f.Class}, {"nodes", strings.Join(f.Nodes, ",")}, {"predict", f.Predict},
			})
		}
	}
	for i := range min(parts, len(cases)) {
		var ids []string
		for k := i; k < len(cases); k += parts {
			ids = append(ids, cases[k].ID)
		}
		part := fmt.Sprintf("%d/%d", i+1, parts)
		jobs = append(jobs, object{{"name", "part " + part}, {"part", part}, {"cases", len(ids)}, {"ids", strings.Join(ids, ",")}})
	}
	include := stream(func(yield func(any) bool) {
		for _, j := range jobs {
			if !yield(j) {
				return
			}
		}
	})
	return &document{
		fields: object{{"include", include}}, oneLine: true, header: []string{"job", "ids"},
		rows: func(yield func([]string) bool) {
			for _, j := range jobs {
				ids := j[1].value
				if parts > 0 {
					ids = j[3].value
				}
				if !yield([]string{fmt.Sprint(j[0].value), fmt.Sprint(ids)}) {
					return
				}
			}
		},
	}, nil
}

func (a *app) validate() (*document, error) {
	if a.output == "dot" {
		return nil, errors.New("validate has nothing to draw; write -o json, yaml, table or csv")
	}
	t := a.topology
	var tables []object
	for _, table := range t.Tables {
		tables = append(tables, object{{"name", table.Name}, {"shards", len(table.Shards)}})
	}
	return &document{
		fields: object{
			{"valid", true},
			{"machines", len(t.Machines)},
			{"instances", len(t.Instances)},
			{"tables", stream(func(yield func(any) bool) {
				for _, o := range tables {
					if !yield(o) {
						return
					}
				}
			})},
		},
		notes:  []string{fmt.Sprintf("valid: %d machines, %d instances, %d tables", len(t.Machines), len(t.Instances), len(t.Tables))},
		header: []string{"table", "shards"},
		rows: func(yield func([]string) bool) {
			for _, o := range tables {
				if !yield([]string{fmt.Sprint(o[0].value), fmt.Sprint(o[1].value)}) {
					return
				}
			}
		},
	}, nil
}
