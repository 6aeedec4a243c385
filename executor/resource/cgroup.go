package resource

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errUnlimited means that there is no such limit, file or controller: another source has to do.
var errUnlimited = errors.New("resource: not limited by a cgroup")

// cgroup finds the files of the control group of this process. Limits of its ancestors are not looked at: in a
// container, its own group is the root of what it sees.
type cgroup struct {
	name                 string // "cgroup2", "cgroup1", or "" without any
	cpu, cpuacct, memory string // directories, "" without the controller
}

// findCgroup reads /proc/self/cgroup; see cgroups(7).
func findCgroup(root string) *cgroup {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return &cgroup{}
	}
	mount := filepath.Join(root, "sys/fs/cgroup")
	g := &cgroup{}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		if fields[1] == "" && exists(filepath.Join(mount, "cgroup.controllers")) {
			dir := below(mount, fields[2])
			return &cgroup{name: "cgroup2", cpu: dir, cpuacct: dir, memory: dir}
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			dir := filepath.Join(mount, controller)
			if !exists(dir) {
				continue
			}
			switch controller {
			case "cpu":
				g.name, g.cpu = "cgroup1", below(dir, fields[2])
			case "cpuacct":
				g.name, g.cpuacct = "cgroup1", below(dir, fields[2])
			case "memory":
				g.name, g.memory = "cgroup1", below(dir, fields[2])
			}
		}
	}
	return g
}

// below is the group's directory under its mount; in a container the path may be that of the host, and
// the mount the group itself.
func below(mount, path string) string {
	if dir := filepath.Join(mount, path); exists(dir) {
		return dir
	}
	return mount
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// number reads a file with one number; "max" and a missing file are errUnlimited.
func number(path string) (float64, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, errUnlimited
	}
	if err != nil {
		return 0, fmt.Errorf("cgroup: %w", err)
	}
	return parse(string(bytes.TrimSpace(text)))
}

func parse(s string) (float64, error) {
	if s == "max" || s == "-1" {
		return 0, errUnlimited
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("cgroup: %w", err)
	}
	return v, nil
}

// field reads the value of a key in a flat-keyed file.
func field(path, key string) (float64, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, errUnlimited
	}
	if err != nil {
		return 0, fmt.Errorf("cgroup: %w", err)
	}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		if name, value, ok := strings.Cut(scan.Text(), " "); ok && name == key {
			return parse(value)
		}
	}
	return 0, fmt.Errorf("%w: no %s in %s", errUnlimited, key, path)
}

// cpuLimit is the number of processors that the group may use.
func (g *cgroup) cpuLimit() (float64, error) {
	if g.cpu == "" {
		return 0, errUnlimited
	}
	if g.name == "cgroup2" {
		text, err := os.ReadFile(filepath.Join(g.cpu, "cpu.max"))
		if err != nil {
			return 0, errUnlimited // the root group has no such file
		}
		quota, period, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
		if !ok {
			return 0, fmt.Errorf("cgroup: cpu.max %q", text)
		}
		return ratio(parse(quota))(parse(period))
	}
	return ratio(number(filepath.Join(g.cpu, "cpu.cfs_quota_us")))(number(filepath.Join(g.cpu, "cpu.cfs_period_us")))
}

// ratio divides two results, either of which may be an error.
func ratio(a float64, errA error) func(b float64, errB error) (float64, error) {
	return func(b float64, errB error) (float64, error) {
		switch {
		case errA != nil:
			return 0, errA
		case errB != nil:
			return 0, errB
		case b <= 0:
			return 0, errUnlimited
		}
		return a / b, nil
	}
}

// cpuSeconds is the processor time that the group has used.
func (g *cgroup) cpuSeconds() (float64, error) {
	if g.cpuacct == "" {
		return 0, errUnlimited
	}
	if g.name == "cgroup2" {
		us, err := field(filepath.Join(g.cpuacct, "cpu.stat"), "usage_usec")
		return us / 1e6, err
	}
	ns, err := number(filepath.Join(g.cpuacct, "cpuacct.usage"))
	return ns / 1e9, err
}

// memoryIdle is the share of the group's memory that is free, counting file pages that can be dropped.
func (g *cgroup) memoryIdle() (float64, error) {
	if g.memory == "" {
		return 0, errUnlimited
	}
	limitFile, usageFile, inactive := "memory.max", "memory.current", "inactive_file"
	if g.name == "cgroup1" {
		limitFile, usageFile, inactive = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	limit, err := number(filepath.Join(g.memory, limitFile))
	if err != nil {
		return 0, err
	}
	if limit >= 1<<60 { // how cgroup v1 writes "no limit"
		return 0, errUnlimited
	}
	usage, err := number(filepath.Join(g.memory, usageFile))
	if err != nil {
		return 0, err
	}
	droppable, err := field(filepath.Join(g.memory, "memory.stat"), inactive)
	if err != nil {
		droppable = 0
	}
	return ratio(limit-usage+droppable, nil)(limit, nil)
}

// pressure is the time, in seconds, in which some task was stalled on the resource, of the group or the host;
// see Documentation/accounting/psi.rst of Linux.
func (g *cgroup) pressure(root, resource string) (float64, error) {
	path := filepath.Join(root, "proc/pressure", resource)
	if g.name == "cgroup2" {
		if own := filepath.Join(g.cpu, resource+".pressure"); exists(own) {
			path = own
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errUnlimited, err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "some ") {
			continue
		}
		for _, part := range strings.Fields(line) {
			if value, ok := strings.CutPrefix(part, "total="); ok {
				us, err := parse(value)
				return us / 1e6, err
			}
		}
	}
	return 0, fmt.Errorf("%w: no total in %s", errUnlimited, path)
}
