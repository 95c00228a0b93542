package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/batcher/simulator"
)

// liveBench compares batching policies on running functions: one whose batches pay, the network mlp on the device, and one
// whose batches do not, each deployed once per policy. Requests come when they come (an open loop), and an answer counts if
// it is there within the SLO after its request's arrival. The policies take turns, so that a neighbour's load meets each.
//
// At each point a sweep finds the best windows, which then run with the others, on arrivals that they were not chosen by: the
// best of many that differ by chance alone would look better than it is, and one run alone can pick one that is not.
type liveBench struct {
	sluice, function, json, loads string
	rounds                        int
	duration, slo                 time.Duration
}

const (
	// windowPolicy is what the windows' names begin with.
	windowPolicy = "window-"
	// sweepRounds is how often each window is measured to find the best, of which there are finalists.
	sweepRounds = 3
	finalists   = 3
)

// The windows of the sweep: largest sizes, and the longest waits in milliseconds.
var (
	windowSizes = []int{8, 16, 32}
	windowWaits = []int{2, 5, 10, 20}
)

// subject is a function under one policy.
type subject struct {
	model, policy string
	// rows are in each request, 0 stands for one.
	rows int
	// batch is the policy as function.yaml spells it.
	batch string
}

func (s subject) name() string { return s.model + "-" + s.policy }

// subjects lists each model under each of its policies; the windows are swept for the one whose batches pay.
func subjects() []subject {
	var all []subject
	for _, model := range []string{modelMLP, modelLinear} {
		all = append(
			all,
			subject{model: model, policy: "adaptive", batch: "{policy: adaptive, max_size: 32}"},
			subject{model: model, policy: "none", batch: "{policy: none}"},
		)
	}
	for _, size := range windowSizes {
		for _, wait := range windowWaits {
			all = append(all, subject{
				model: modelMLP, policy: fmt.Sprintf(windowPolicy+"%d-%dms", size, wait),
				batch: fmt.Sprintf("{policy: window, max_size: %d, max_wait_ms: %d}", size, wait),
			})
		}
	}
	return all
}

// The models.
const (
	modelMLP    = "mlp"
	modelLinear = "linear"
)

// liveFunction has room in the scheduler for all subjects at once: of the device, only one is asked at a time.
const liveFunction = `apiVersion: sluice/v1
kind: Function
name: %s
command: [%s]
resources: {cpu: 50m, memory: 512Mi}
%s
batch: %s
scale: {min: 1, max: 1, start_timeout_s: 300}
`

// liveRow is one policy's result at one point.
type liveRow struct {
	Model    string  `json:"model"`
	Policy   string  `json:"policy"`
	Arrivals string  `json:"arrivals"`
	Load     float64 `json:"load"`
	// Swept says that it is of the sweep.
	Swept bool `json:"swept"`
	// Rate is how many requests there were in a second, Goodput how many answers on time: the mean of Rounds.
	// A median would leave out the rounds in which a policy collapses.
	Rate        float64   `json:"rate_rps"`
	Goodput     float64   `json:"goodput_rps"`
	Rounds      []float64 `json:"rounds_rps"`
	MachineLoad float64   `json:"machine_load"`
}

func (b *liveBench) flags() *flag.FlagSet {
	flags := b.flagsOf("live")
	flags.StringVar(&b.loads, "loads", "0.5,0.8,1,1.3", "arrivals in parts of the capacity")
	flags.IntVar(&b.rounds, "rounds", 5, "times that each policy is measured at each point, after the sweep of windows")
	flags.DurationVar(&b.duration, "duration", 1500*time.Millisecond, "of one measurement")
	flags.DurationVar(&b.slo, "slo", 50*time.Millisecond, "within which an answer is on time")
	return flags
}

// flagsOf are those of every benchmark on running functions.
func (b *liveBench) flagsOf(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&b.sluice, "sluice", "", "the sluice program (default: beside this one)")
	flags.StringVar(&b.function, "function", "build/examples/mlp/mlp", "the program of the function mlp")
	flags.StringVar(&b.json, "json", "", "where the rows are written as JSON")
	return flags
}

func (b *liveBench) run(ctx context.Context) error {
	loads, err := b.parseLoads()
	if err != nil {
		return err
	}
	daemon, door, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer daemon.stop()
	defer door.close()
	tested := subjects()
	for _, s := range tested {
		if err := b.deploy(ctx, daemon, door, s); err != nil {
			return err
		}
	}
	rows, err := b.measure(ctx, door, tested, loads)
	if err != nil {
		return err
	}
	printLive(rows)
	return writeRows(b.json, rows)
}

// open starts a daemon and connects to its gateway.
func (b *liveBench) open(ctx context.Context) (*testedDaemon, client, error) {
	daemon, err := startDaemon(ctx, b.sluice)
	if err != nil {
		return nil, client{}, err
	}
	door, err := connect(daemon.gateway)
	if err != nil {
		daemon.stop()
		return nil, client{}, err
	}
	return daemon, door, nil
}

func (b *liveBench) parseLoads() ([]float64, error) {
	var loads []float64
	for _, text := range strings.Split(b.loads, ",") {
		load, err := strconv.ParseFloat(text, 64)
		if err != nil || !(load > 0 && load <= 10) {
			return nil, fmt.Errorf("load %q must be a number above 0 and at most 10", text)
		}
		loads = append(loads, load)
	}
	if b.rounds < 1 || b.duration < 100*time.Millisecond || b.slo < time.Millisecond {
		return nil, fmt.Errorf("needs at least 1 round of 100ms, and an SLO of 1ms")
	}
	return loads, nil
}

// deploy deploys a subject and waits until it answers, so that no start is in the way of another's.
func (b *liveBench) deploy(ctx context.Context, daemon *testedDaemon, door client, s subject) error {
	program, err := filepath.Abs(b.function)
	if err != nil {
		return fmt.Errorf("finding the function's program: %w", err)
	}
	command, device := strconv.Quote(program), "device: {api: opencl, memory: 128Mi, compute: 50}"
	if s.model == modelLinear {
		command, device = fmt.Sprintf("%q, linear", daemon.self), ""
	}
	return daemon.deploy(ctx, door, fmt.Sprintf(liveFunction, s.name(), command, device, s.batch), liveRequest(s))
}

// measure warms each subject up, then has them take turns at each point.
func (b *liveBench) measure(ctx context.Context, door client, tested []subject, loads []float64) ([]liveRow, error) {
	capacity := make(map[string]float64)
	for _, s := range tested {
		rate, err := closedLoop(ctx, door, s, warmUpConnections, b.duration)
		if err != nil {
			return nil, err
		}
		capacity[s.model] = max(capacity[s.model], rate)
	}
	fmt.Printf("capacity: mlp %.0f, linear %.0f requests a second; SLO %v\n", capacity[modelMLP], capacity[modelLinear], b.slo)
	var windows, others []subject
	for _, s := range tested {
		if strings.HasPrefix(s.policy, windowPolicy) {
			windows = append(windows, s)
		} else {
			others = append(others, s)
		}
	}
	var rows []liveRow
	for _, process := range simulator.Processes()[:2] {
		for _, load := range loads {
			at := livePoint{process, load, capacity}
			swept, err := b.turns(ctx, door, windows, at, seeds(sweepRounds, b.rounds))
			if err != nil {
				return nil, err
			}
			final, err := b.turns(ctx, door, append(slices.Clone(others), best(windows, swept)...), at, seeds(b.rounds, 0))
			if err != nil {
				return nil, err
			}
			rows = append(rows, append(swept, final...)...)
		}
	}
	return rows, nil
}

// best are the finalists of the sweep that rows tell of.
func best(windows []subject, rows []liveRow) (finals []subject) {
	order := make([]int, len(rows))
	for i := range rows {
		order[i], rows[i].Swept = i, true
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(rows[j].Goodput, rows[i].Goodput) })
	for _, i := range order[:finalists] {
		finals = append(finals, windows[i])
	}
	return finals
}

// livePoint is what subjects are measured at; capacity is by model.
type livePoint struct {
	process  simulator.Process
	load     float64
	capacity map[string]float64
}

// seeds are count seeds from first on, one for each round.
func seeds(count, first int) []uint64 {
	all := make([]uint64, count)
	for i := range all {
		all[i] = uint64(first + i)
	}
	return all
}

// turns has subjects take turns, once for each seed.
func (b *liveBench) turns(ctx context.Context, door client, tested []subject, at livePoint, seeds []uint64) ([]liveRow, error) {
	rows := make([]liveRow, len(tested))
	for round, seed := range seeds {
		for turn := range tested {
			i := (turn + round*5) % len(tested)
			s, row := tested[i], &rows[i]
			rate := at.load * at.capacity[s.model]
			goodput, err := b.openLoop(ctx, door, s, at.process, rate, seed)
			if err != nil {
				return nil, err
			}
			row.Model, row.Policy, row.Arrivals, row.Load, row.Rate = s.model, s.policy, at.process.Name, at.load, rate
			row.Rounds = append(row.Rounds, goodput)
		}
	}
	for i := range rows {
		rows[i].Goodput, rows[i].MachineLoad = mean(rows[i].Rounds), loadAverage()
	}
	return rows, nil
}

// printLive prints one line for each point: what adaptive has, and what the others have.
func printLive(rows []liveRow) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "model\tarrivals\tload\trate\tadaptive\tbest window\tratio\tnone\tratio\tmachine\t")
	type point struct {
		model, arrivals string
		load            float64
	}
	points := make(map[point]map[string]liveRow)
	for _, r := range rows {
		at := point{r.Model, r.Arrivals, r.Load}
		if points[at] == nil {
			points[at] = make(map[string]liveRow)
		}
		kind, _, _ := strings.Cut(r.Policy, "-")
		if !r.Swept && r.Goodput >= points[at][kind].Goodput {
			points[at][kind] = r
		}
	}
	for _, r := range rows {
		if r.Policy == "adaptive" {
			printPoint(w, r, points[point{r.Model, r.Arrivals, r.Load}])
		}
	}
	_ = w.Flush()
}

func printPoint(w *tabwriter.Writer, adaptive liveRow, by map[string]liveRow) {
	best := "-\t-"
	if window, there := by["window"]; there {
		best = fmt.Sprintf("%.0f (%s)\t%.2f", window.Goodput, strings.TrimPrefix(window.Policy, windowPolicy), adaptive.ratio(window))
	}
	fmt.Fprintf(w, "%s\t%s\t%.1f\t%.0f\t%.0f\t%s\t%.0f\t%.2f\t%.1f\t\n", adaptive.Model, adaptive.Arrivals, adaptive.Load, adaptive.Rate,
		adaptive.Goodput, best, by["none"].Goodput, adaptive.ratio(by["none"]), adaptive.MachineLoad)
}

// ratio is what r has of another in all rounds together: they have the same arrivals.
func (r liveRow) ratio(other liveRow) float64 { return r.Goodput / max(other.Goodput, 1) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
