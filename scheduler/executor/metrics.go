package executor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/scheduler"
)

// metrics are the Executor's Prometheus series; seconds throughout.
type metrics struct {
	executor *Executor

	coldStart *prometheus.HistogramVec
	failures  *prometheus.CounterVec
	stops     *prometheus.CounterVec
	instances *prometheus.Desc
}

func newMetrics(e *Executor, registerer prometheus.Registerer) *metrics {
	m := &metrics{
		executor: e,
		coldStart: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_cold_start_seconds", Help: "Time that starts of instances took, by phase: lease, create, start, ready; total.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"tenant", "function", "phase"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_instance_failures_total", Help: "Instances that did not become ready or ended by themselves.",
		}, []string{"tenant", "function"}),
		stops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_instance_stops_total", Help: "Instances that the scheduler stopped, by reason.",
		}, []string{"reason"}),
		instances: prometheus.NewDesc("sluice_instances", "Instances that exist, by state.", []string{"tenant", "function", "version", "state"}, nil),
	}
	if registerer != nil {
		registerer.MustRegister(m.coldStart, m.failures, m.stops, m)
	}
	return m
}

func (m *metrics) observe(key scheduler.Key, phase string, took time.Duration) {
	m.coldStart.WithLabelValues(key.Tenant, key.Function, phase).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- m.instances }

// Collect counts what is listed at the time of the question.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	type group struct {
		key   scheduler.Key
		state State
	}
	counts := make(map[group]int)
	for _, i := range m.executor.Instances() {
		counts[group{i.Key, i.State}]++
	}
	for g, count := range counts {
		out <- prometheus.MustNewConstMetric(m.instances, prometheus.GaugeValue, float64(count),
			g.key.Tenant, g.key.Function, g.key.Version, string(g.state))
	}
}
