package gateway

import "time"

// What a client may send.
const (
	// MaxMessageBytes bounds a message, and with it every tensor.
	MaxMessageBytes = 64 << 20
	MaxHeaderBytes  = 16 << 10
	// MaxStreams is how many requests one connection may have open.
	MaxStreams = 1024
	// MaxStreamed is how many requests of one ModelStreamInfer wait for their answers; more are not read until then.
	MaxStreamed = 64
	// MaxNameBytes bounds names of models, versions, tensors and parameters.
	MaxNameBytes = 128
	// MaxIDBytes bounds a request's id.
	MaxIDBytes = 128
	// MaxKeyBytes bounds an API key.
	MaxKeyBytes = 128
	// MaxTensors bounds the inputs of a request, and the outputs that it asks for.
	MaxTensors = 64
	// MaxParameters bounds the parameters of a request or a tensor, MaxParameterBytes one that is a string.
	MaxParameters     = 64
	MaxParameterBytes = 4096
	// MaxPriority is the largest number, and so the lowest priority, that a request may name.
	MaxPriority = 255
)

// minPingInterval is the least time between a connection's keep-alive pings.
const minPingInterval = 10 * time.Second

// What a client may send ahead of what is read: on one stream, and on a connection with all its streams.
const (
	windowBytes           = 1 << 20
	connectionWindowBytes = 4 << 20
)

// streamWorkersPerCPU is how many goroutines per CPU stand ready for calls; more calls than that get new ones.
const streamWorkersPerCPU = 64

// answerBytesUnwatched is how large an answer may be for its client to read it at leisure: connections hold no more of small
// ones than MaxStreams of them.
const answerBytesUnwatched = 4 << 10

const (
	// headerTimeout is how long a client may take to send what comes before a request: TLS's and gRPC's greetings, HTTP's header.
	// For the request itself and the answer it has intake.Patience.
	headerTimeout = 10 * time.Second
	// idleTimeout is how long a connection over HTTP may lie idle.
	idleTimeout = 2 * time.Minute
	// connectionIdleTimeout is the same for gRPC, whose clients keep their connections.
	connectionIdleTimeout = 15 * time.Minute
	// pingInterval is how long a client of gRPC may say nothing until it is asked whether it is there, and pingTimeout how long it
	// may take to answer.
	pingInterval = 30 * time.Second
	pingTimeout  = 20 * time.Second
)
