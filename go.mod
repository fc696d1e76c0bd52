module tracker

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/dchest/siphash v1.2.3
	github.com/mdlayher/sdnotify v1.0.0
	github.com/nats-io/nats.go v1.51.0
	github.com/nats-io/nkeys v0.4.15
	github.com/panjf2000/gnet/v2 v2.9.8
	golang.org/x/sys v0.49.0
)

require (
	github.com/klauspost/compress v1.18.5 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/panjf2000/ants/v2 v2.12.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	golang.org/x/crypto v0.49.0 // indirect
	golang.org/x/sync v0.11.0 // indirect
	gopkg.in/natefinch/lumberjack.v2 v2.2.1 // indirect
)

replace go.uber.org/zap => ./loop/zap
