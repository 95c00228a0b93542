package function

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"sluice/proto/gen/inference"
)

// fatalDrainTimeout bounds how long answers may still go out after a fatal error. Other
// inferences may hang on the device that is gone.
const fatalDrainTimeout = time.Second

// Server serves one model. Make it with NewServer and call Run once.
type Server struct {
	model     Model
	signature Signature
	config    Config
	health    *health.Server

	ready atomic.Bool
	slots chan struct{} // holds an entry per inference that runs
	// loading is done when the goroutine that loads the model has ended.
	loading sync.WaitGroup

	breakOnce sync.Once
	broken    chan struct{} // closed by the first fatal error
	fatal     error         // written before broken is closed
}

// NewServer checks the model's signature.
func NewServer(model Model, config Config) (*Server, error) {
	signature := model.Signature()
	if err := signature.check(); err != nil {
		return nil, err
	}
	return &Server{
		model:     model,
		signature: signature,
		config:    config,
		health:    health.NewServer(),
		slots:     make(chan struct{}, signature.concurrency()),
		broken:    make(chan struct{}),
	}, nil
}

// Run listens, loads and warms the model, then serves until the context ends or an
// error is fatal; last, it drains. It returns nil if the context ended and everything
// that ran was finished in time.
func (s *Server) Run(ctx context.Context) error {
	listener, err := s.config.listen()
	if err != nil {
		return err
	}
	s.setReady(false)
	lifetime, end := context.WithCancel(context.Background())
	defer end()
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxHeaderListSize(maxMetadataBytes),
		grpc.MaxConcurrentStreams(maxPendingCalls),
		grpc.StreamInterceptor(endStreamsWith(lifetime)),
	)
	inference.RegisterGRPCInferenceServiceServer(server, &service{server: s})
	healthpb.RegisterHealthServer(server, s.health)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.config.Log.Info("function listens", "network", s.config.Network, "address", s.config.Address)

	err = s.live(ctx, lifetime, served)
	s.setReady(false)
	end()
	return errors.Join(err, s.drain(server, err))
}

// live loads the model and returns when there is a reason to stop.
func (s *Server) live(ctx, lifetime context.Context, served <-chan error) error {
	loaded := make(chan error, 1)
	s.loading.Go(func() { loaded <- s.load(lifetime) })
	for {
		select {
		case <-ctx.Done():
			s.config.Log.Info("function was told to stop")
			return nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-s.broken:
			return s.fatal
		case err := <-loaded:
			if err != nil {
				return err
			}
			s.setReady(true)
		}
	}
}

// load loads the model and runs it once at the smallest and once at the largest batch
// size, so that what a driver puts off until first use is done before a request waits.
func (s *Server) load(ctx context.Context) error {
	begin := time.Now()
	if err := s.model.Load(ctx); err != nil {
		return fmt.Errorf("load the model: %w", err)
	}
	loadDuration := time.Since(begin)
	for _, batch := range []int{1, max(1, s.signature.MaxBatch)} {
		inputs := s.signature.zeros(batch)
		outputs, err := s.model.Infer(ctx, inputs)
		if err == nil {
			err = s.signature.checkOutputs(outputs, int64(batch))
		}
		if err != nil {
			return fmt.Errorf("warm up with a batch of %d: %w", batch, err)
		}
	}
	s.config.Log.Info("function is ready", "load_ms", loadDuration.Milliseconds(), "warm_ms", (time.Since(begin) - loadDuration).Milliseconds())
	return nil
}

// zeros makes inputs of zeros; a dimension of any size other than the batch gets 1.
func (s Signature) zeros(batch int) Tensors {
	var inputs Tensors
	for _, spec := range s.Inputs {
		shape := make([]int64, len(spec.Shape))
		count := 1
		for i, size := range spec.Shape {
			shape[i] = max(1, size)
			if i == 0 && s.MaxBatch > 0 {
				shape[i] = int64(batch)
			}
			count *= int(shape[i])
		}
		size := datatypeBytes[spec.Datatype]
		if spec.Datatype == BYTES {
			size = bytesLengthBytes // empty elements
		}
		inputs = append(inputs, Tensor{Name: spec.Name, Datatype: spec.Datatype, Shape: shape, Data: make([]byte, count*size)})
	}
	return inputs
}

// drain lets what runs come to its end and closes the model. reason is why the server stops.
func (s *Server) drain(server *grpc.Server, reason error) error {
	timeout := s.config.DrainTimeout
	if reason != nil {
		timeout = min(timeout, fatalDrainTimeout)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		server.GracefulStop() // waits for the inferences
		s.loading.Wait()
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		server.Stop()
		return fmt.Errorf("drain for %s: %w", timeout, ErrDrain)
	}
	if closer, ok := s.model.(io.Closer); ok {
		if err := closer.Close(); err != nil {
			return fmt.Errorf("close the model: %w", err)
		}
	}
	return nil
}

// breakWith ends the server because of a fatal error; the first one counts.
func (s *Server) breakWith(err error) {
	s.breakOnce.Do(func() {
		s.fatal = err
		close(s.broken)
	})
	s.setReady(false)
}

func (s *Server) setReady(ready bool) {
	s.ready.Store(ready)
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		state = healthpb.HealthCheckResponse_SERVING
	}
	for _, name := range []string{"", inference.GRPCInferenceService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, state)
	}
}

// endStreamsWith ends streaming calls, such as a watch of the health, with lifetime:
// they have no end of their own, and draining would wait for them.
func endStreamsWith(lifetime context.Context) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(lifetime, cancel)()
		return handle(server, endingStream{stream, ctx})
	}
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s endingStream) Context() context.Context { return s.ctx }
