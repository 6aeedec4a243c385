package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/faultcalc"
)

// The page's own parts, and the charting library: Observable Plot, because it draws SVG in the page's own colours from data in one
// call, is kept, and works without a network. Of the smaller ones that were looked at, uPlot draws on a canvas, which takes
// neither colours from a style sheet nor names for a screen reader. Plot needs D3; both are under page/thirdparty, with their
// licences.
//
//go:embed page
var parts embed.FS

// caseView is a case as the page shows it.
type caseView struct {
	Case
	Findings  []findingView
	Outage    string
	OutageFor time.Duration // -1 if no shard had to serve
	Outages   []serviceView
	Alerts    []executor.Alert
}

// Open tells whether the page shows it without being asked.
func (c caseView) Open() bool { return !c.AsPredicted() }

// pageData is what the page's script draws from.
type pageData struct {
	Cases   map[string]*timeline `json:"cases"`
	Outages []outagePoint        `json:"outages"`
	Repeats []repeatPoint        `json:"repeats"`
}

// page is what the template fills in.
type page struct {
	*Report
	Head       headline
	Cases      []caseView
	Pictures   []picture
	Live       *Now // nil for a run that has ended
	Outages    []outageRow
	Comparison *comparison
	LeftOut    []leftOutGroup
	Stray      []executor.Alert // alerts of no case
	Data       pageData
	Style      template.CSS
	Libraries  []template.JS
	Script     template.JS
}

// Bad returns the cases that did not go as predicted.
func (p page) Bad() []caseView { return p.chosen(caseView.Open) }

// Good returns the others.
func (p page) Good() []caseView { return p.chosen(func(c caseView) bool { return !c.Open() }) }

// has tells whether a case is on the page.
func (p page) has(id string) bool {
	return slices.ContainsFunc(p.Cases, func(c caseView) bool { return c.ID == id })
}

// first is the first repeat of a case.
func (p page) first(of string) string {
	return p.Cases[slices.IndexFunc(p.Cases, func(c caseView) bool { return c.Of == of })].ID
}

func (p page) chosen(which func(caseView) bool) (list []caseView) {
	for _, c := range p.Cases {
		if which(c) {
			list = append(list, c)
		}
	}
	return list
}

// WritePage writes the report as one HTML file that needs nothing else. It draws on the histories and the topology in the
// directories of the runs that the report is about, and compares with an earlier report unless that is nil.
func (r *Report) WritePage(file string, runs []string, earlier *Report) error {
	text, err := r.render(filepath.Dir(file), runs, earlier)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	return nil
}

// render makes the page that is to be in the directory.
func (r *Report) render(dir string, runs []string, earlier *Report) ([]byte, error) {
	topology, seen, err := evidence(runs)
	if err != nil {
		return nil, err
	}
	p, err := r.view(witness{seen, dir, runs}, topology, earlier)
	if err != nil {
		return nil, err
	}
	return p.fill()
}

// view gathers what the page shows.
func (r *Report) view(w witness, topology faultcalc.Topology, earlier *Report) (page, error) {
	p := page{Report: r, LeftOut: r.leftOutByReason(), Data: pageData{Cases: map[string]*timeline{}}}
	alerts := map[string][]executor.Alert{}
	for _, a := range r.Alerts {
		alerts[a.Scope] = append(alerts[a.Scope], a)
	}
	for _, c := range r.Cases {
		view := caseView{
			Case: c, Findings: w.findings(c), Outage: outage(c), OutageFor: -1, Outages: service(c.Verdict), Alerts: alerts[c.ID],
		}
		if longest, _, some := worstOutage(c); some {
			view.OutageFor = longest
		}
		if o := w.seen[c.ID]; o != nil {
			p.Data.Cases[c.ID] = o.draw(c.Verdict, alerts[c.ID])
		}
		delete(alerts, c.ID)
		p.Cases = append(p.Cases, view)
	}
	for _, a := range r.Alerts {
		if _, left := alerts[a.Scope]; left {
			p.Stray = append(p.Stray, a)
		}
	}
	p.Head = r.head()
	p.Data.Outages, p.Outages = r.outages(topology)
	p.Data.Repeats = r.repeatPoints()
	if earlier != nil {
		p.Comparison = compare(r, earlier)
	}
	var err error
	p.Pictures, err = r.pictures(topology)
	return p, err
}

// evidence reads what the runs left; the topology is the same in all of them. What a run that was cut short did not leave is not
// there.
func evidence(runs []string) (topology faultcalc.Topology, seen map[string]*observed, err error) {
	seen = map[string]*observed{}
	for _, dir := range runs {
		own, err := readTopology(dir)
		if err != nil {
			return topology, nil, err
		}
		part, err := observe(dir, own)
		if err != nil {
			return topology, nil, err
		}
		maps.Copy(seen, part.cases)
		topology = own
	}
	return topology, seen, nil
}

func readTopology(dir string) (topology faultcalc.Topology, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "topology.json")) //nolint:gosec // the caller's file
	if errors.Is(err, fs.ErrNotExist) {
		return topology, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &topology)
	}
	if err != nil {
		return topology, fmt.Errorf("read the topology of %s: %w", dir, err)
	}
	return topology, nil
}

// fill executes the template.
func (p page) fill() ([]byte, error) {
	read := func(name string) string {
		text, _ := parts.ReadFile("page/" + name) // a part of the program
		return string(text)
	}
	p.Style = template.CSS(read("page.css"))                                             //nolint:gosec // our own
	p.Script = template.JS(read("page.js"))                                              //nolint:gosec // our own
	p.Libraries = []template.JS{template.JS("/*\n" + read("thirdparty/LICENSE") + "*/")} //nolint:gosec // our own
	for _, library := range []string{"d3", "plot"} {
		p.Libraries = append(p.Libraries, template.JS(read("thirdparty/"+library+".min.js"))) //nolint:gosec // pinned here
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"seconds": seconds, "millis": millis, "count": count, "shards": shardList, "done": p.has, "first": p.first,
		"join":    func(list []string) string { return strings.Join(list, ", ") },
		"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
	}).Parse(read("page.html"))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, p)
	return out.Bytes(), err
}
