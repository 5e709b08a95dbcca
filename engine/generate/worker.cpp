// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/worker.h"

#include "engine/base/ring.h"
#include "engine/generate/generation.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace ergo {

namespace {

constexpr std::size_t ring_frames = 256;
constexpr std::size_t frame_numbers = std::size_t{1} << 20; // copied in a few milliseconds
constexpr double compiling_patience = 1; // seconds; kernels that are on disk are there sooner

struct CommandOpen {
    std::string source;
    OpenModelOptions options;
};
struct CommandForget {};
struct CommandRead {
    std::uint64_t tag = 0;
    std::vector<std::int32_t> ids;
};
using Command = std::variant<CommandOpen, GenerateRequest, CommandForget, CommandRead>;

} // namespace

class Worker::Impl {
  public:
    explicit Impl(std::function<void()> wake) : wake_(std::move(wake)), frames_(ring_frames) {
        thread_ = std::thread([this] { loop(); });
    }

    ~Impl() {
        {
            const std::lock_guard lock(mutex_);
            quit_ = true;
            commands_.clear();
            current_.cancel();
        }
        changed_.notify_all();
        thread_.join();
    }

    void enqueue(Command command) {
        const std::lock_guard lock(mutex_);
        std::erase_if(commands_, [](const Command& c) { return std::holds_alternative<CommandRead>(c); });
        commands_.push_back(std::move(command));
        if (looking_back_) {
            current_.cancel(); // looking back never keeps a person waiting
        }
        changed_.notify_all();
    }

    void observe(std::vector<Observe> wanted) {
        const std::lock_guard lock(mutex_);
        if (wanted == wanted_) {
            return;
        }
        wanted_ = std::move(wanted);
        observe_changed_ = true;
        if (recapturing_) {
            current_.cancel();
        }
        changed_.notify_all();
    }

    void use_backend(BackendWish wish) {
        const std::lock_guard lock(mutex_);
        wish_ = std::move(wish);
        if (looking_back_) {
            current_.cancel();
        }
        changed_.notify_all();
    }

    void time_ops(bool timed) {
        const std::lock_guard lock(mutex_);
        timing_wanted_ = timed;
        timing_changed_ = true;
        op_times_.clear();
    }

    std::vector<OpTime> op_times() const {
        const std::lock_guard lock(mutex_);
        return op_times_;
    }

    void set_params(std::vector<std::vector<float>> values) {
        const std::lock_guard lock(mutex_);
        params_wanted_ = std::move(values);
    }

    void stop() {
        const std::lock_guard lock(mutex_);
        commands_.clear();
        current_.cancel();
        given_up_ = looking_back_;
    }

    std::vector<Event> take_events() {
        wake_pending_.store(false, std::memory_order_release);
        const std::lock_guard lock(mutex_);
        return std::exchange(events_, {});
    }

    std::optional<Frame> take_frame() { return frames_.pop(); }
    std::size_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
    bool busy() const { return busy_.load(std::memory_order_acquire); }

  private:
    // ---- the worker's thread
    // -------------------------------------------------------------------------------
    void loop() {
        for (;;) {
            std::optional<Command> command;
            bool look_back = false, move = false;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [this] {
                    return quit_ || !commands_.empty() ||
                           (session_ && (observe_changed_ || frames_missing_ || wish_));
                });
                if (quit_) {
                    return;
                }
                current_ = CancelToken();
                if (!commands_.empty()) {
                    command = std::move(commands_.front());
                    commands_.pop_front();
                    looking_back_ = std::holds_alternative<CommandRead>(*command);
                    busy_.store(true, std::memory_order_release);
                } else if (wish_) {
                    move = true;
                    busy_.store(true, std::memory_order_release);
                } else {
                    look_back = recapturing_ = looking_back_ = true;
                }
            }
            if (move) {
                refresh_backend();
            } else if (look_back) {
                guarded("capture", [this] { recapture(); });
            } else {
                run(*command);
            }
            const std::lock_guard lock(mutex_);
            recapturing_ = looking_back_ = false;
            busy_.store(!commands_.empty(), std::memory_order_release);
        }
    }

    void run(Command& command) {
        if (auto* open = std::get_if<CommandOpen>(&command)) {
            guarded("open " + open->source, [&] {
                auto opened = open_all(open->source, open->options, progress(), current_);
                auto session = std::make_unique<Session>(opened); // the old model stays if this fails
                session_ = std::move(session);
                opened_ = std::move(opened);
                params_.clear();
                stale_ = false;
                apply_subscriptions();
                emit(EventOpened{opened_});
                prepare_session();
            });
        } else if (auto* request = std::get_if<GenerateRequest>(&command)) {
            const bool done = guarded("generate", [&] { generate(*request); });
            if (!done) {
                EventFinished failed;
                failed.tag = request->tag;
                failed.reason = EventFinished::Reason::failed;
                emit(failed);
            }
        } else if (auto* old = std::get_if<CommandRead>(&command)) {
            guarded("read", [&] { read(*old); });
        } else if (opened_) {
            guarded("forget", [&] {
                const bool stands_in = session_->intended() != opened_;
                opened_ = session_->intended();
                session_ = std::make_unique<Session>(opened_);
                if (stands_in) {
                    emit(EventMoved{opened_, opened_->choice.reason, false});
                }
                use_params();
                apply_subscriptions();
                prepare_session();
            });
        }
    }

    void generate(const GenerateRequest& request) {
        if (!session_) {
            throw Error(ErrorKind::usage, "No model is open.", {.advice = "Open one first."});
        }
        GenerationHooks hooks;
        hooks.prompt = [this](const EventPrompt& e) { emit(e); };
        hooks.token = [this](EventToken&& e) { emit(std::move(e)); };
        hooks.between = [this] {
            refresh_backend();
            refresh_params();
            refresh_subscriptions();
            publish_times(false);
        };
        hooks.progress = progress();
        refresh_backend();
        refresh_params();
        forget_stale_rows();
        refresh_subscriptions();
        const std::shared_ptr<const OpenedModel> opened = opened_; // another may take its place meanwhile
        const EventFinished finished = generate_reply(*session_, *opened, request, hooks, current_);
        publish_times(true);
        emit(finished);
    }

    void read(const CommandRead& command) {
        if (!session_) {
            return;
        }
        refresh_params();
        forget_stale_rows();
        refresh_subscriptions();
        const std::vector<std::int32_t>& log = session_->tokens();
        const auto known = static_cast<std::int64_t>(
            std::mismatch(log.begin(), log.end(), command.ids.begin(), command.ids.end()).first -
            log.begin());
        frames_missing_ = frames_missing_ || known > 0; // rows that are not run again come by a second pass
        patient_ = true;
        try {
            session_->set_tokens(command.ids, progress(), current_, true);
        } catch (...) {
            patient_ = false;
            frames_missing_ = frames_missing_ && !taken(given_up_);
            throw;
        }
        patient_ = false;
        emit(EventPrompt{command.tag, session_->length(), known, 0});
    }

    // ---- backends
    // ---------------------------------------------------------------------------------------
    void prepare_session() {
        session_->on_fallback([this](const std::shared_ptr<const OpenedModel>& now, const std::string& why) {
            opened_ = now;
            emit(EventMoved{now, why, true});
        });
        session_->answer_while_compiling(
            compiling_patience,
            [this](const std::shared_ptr<const OpenedModel>& now, const std::string& why) {
                opened_ = now;
                emit(EventMoved{now, why, false});
            });
        const std::lock_guard lock(mutex_);
        timing_changed_ = timing_wanted_;
    }

    void refresh_backend() {
        std::optional<BackendWish> wish;
        std::optional<bool> timed;
        {
            const std::lock_guard lock(mutex_);
            wish = std::exchange(wish_, std::nullopt);
            if (wish || std::exchange(timing_changed_, false)) {
                timed = timing_wanted_;
            }
        }
        if (wish) {
            guarded("change the backend", [&] {
                auto other = open_elsewhere(*opened_, *wish, {}, progress(), current_);
                session_->move_to(other, progress(), current_);
                opened_ = std::move(other);
                emit(EventMoved{opened_, opened_->choice.reason, false});
            });
        }
        if (timed) {
            session_->time_ops(*timed);
        }
    }

    void publish_times(bool now) {
        const auto clock = std::chrono::steady_clock::now();
        const std::lock_guard lock(mutex_);
        if (timing_wanted_ && (now || clock - published_ > std::chrono::milliseconds(500))) {
            op_times_ = session_->op_times(false);
            published_ = clock;
        }
    }

    void recapture() {
        frames_missing_ = false;
        std::vector<Subscription> wanted = apply_subscriptions();
        if (wanted.empty()) {
            return;
        }
        try {
            session_->recapture(
                wanted, [this](Frame&& frame) { hand_out(std::move(frame), true); }, progress(), current_);
        } catch (const Error& error) {
            emit(EventProgress{"looking back", 1, 1});
            if (error.kind() != ErrorKind::cancelled) {
                throw;
            }
            frames_missing_ = !taken(given_up_); // else try again when idle
        }
    }

    bool taken(bool& flag) {
        const std::lock_guard lock(mutex_);
        return std::exchange(flag, false);
    }

    void hand_out(Frame&& frame, bool patiently) {
        for (Frame& portion : in_portions(std::move(frame), opened_->model->observables(), frame_numbers)) {
            if (patiently) {
                push_patiently(std::move(portion));
            } else if (!frames_.push(std::move(portion))) {
                dropped_.fetch_add(1, std::memory_order_relaxed);
                frames_missing_ = true;
            }
        }
        wake();
    }

    // Looking back can wait for a slow reader, unlike a reply that is being written.
    void push_patiently(Frame&& frame) {
        while (!frames_.push(std::move(frame))) {
            wake();
            current_.check();
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        wake();
    }

    // ---- parameters
    // ------------------------------------------------------------------------------------------
    void refresh_params() {
        std::optional<std::vector<std::vector<float>>> wanted;
        {
            const std::lock_guard lock(mutex_);
            wanted.swap(params_wanted_);
        }
        if (wanted && *wanted != params_) {
            params_ = std::move(*wanted);
            use_params();
            stale_ = session_->length() > 0;
        }
    }

    void use_params() {
        for (std::size_t i = 0; i < params_.size(); ++i) {
            session_->set_param(ParamId{static_cast<std::int32_t>(i)}, params_[i]);
        }
        stale_ = false;
    }

    void forget_stale_rows() {
        if (std::exchange(stale_, false)) {
            session_->rewind(0);
        }
    }

    // ---- subscriptions
    // ---------------------------------------------------------------------------------------
    void refresh_subscriptions() {
        bool changed = false;
        {
            const std::lock_guard lock(mutex_);
            changed = observe_changed_;
        }
        if (changed) {
            apply_subscriptions();
            frames_missing_ = true; // the rows already in the log are captured again when idle
        }
    }

    std::vector<Subscription> apply_subscriptions() {
        std::vector<Observe> wanted;
        {
            const std::lock_guard lock(mutex_);
            wanted = wanted_;
            observe_changed_ = false;
        }
        std::vector<Subscription> subscriptions;
        for (const Observe& observe : wanted) {
            const std::int32_t index = find_observable(opened_->model->observables(), observe.observable);
            if (index >= 0) {
                subscriptions.push_back({index, observe.heads});
            }
        }
        session_->subscribe(subscriptions, [this](Frame&& frame) { hand_out(std::move(frame), patient_); });
        return subscriptions;
    }

    // ---- to the front end
    // --------------------------------------------------------------------------------------
    template <class Job> bool guarded(const std::string& what, Job job) {
        try {
            job();
            return true;
        } catch (const Error& error) {
            emit(EventFailed{error.kind(), error.what(), what});
        } catch (const std::bad_alloc&) {
            emit(EventFailed{ErrorKind::resources,
                             "There is not enough memory for this. Use a shorter context.", what});
        } catch (const std::exception& error) {
            emit(EventFailed{ErrorKind::io, error.what(), what});
        }
        return false;
    }

    Progress progress() {
        return [this](double done, double total, const std::string& what) {
            emit(EventProgress{what, done, total});
        };
    }

    void emit(Event event) {
        {
            const std::lock_guard lock(mutex_);
            events_.push_back(std::move(event));
        }
        wake();
    }

    // One wake is enough until the front end has looked.
    void wake() {
        if (wake_ && !wake_pending_.exchange(true, std::memory_order_acq_rel)) {
            wake_();
        }
    }

    std::function<void()> wake_;
    std::atomic<bool> wake_pending_{false}, busy_{false};
    std::atomic<std::size_t> dropped_{0};
    SpscRing<Frame> frames_;

    mutable std::mutex mutex_; // guards the next block
    std::condition_variable changed_;
    std::deque<Command> commands_;
    std::vector<Event> events_;
    std::vector<Observe> wanted_;
    std::optional<BackendWish> wish_;
    bool timing_wanted_ = false, timing_changed_ = false;
    std::vector<OpTime> op_times_;
    std::optional<std::vector<std::vector<float>>> params_wanted_;
    CancelToken current_;
    bool observe_changed_ = false, quit_ = false;
    bool recapturing_ = false; // a second pass over the log
    bool looking_back_ =
        false;              // that, or reading an old conversation: whatever a person asks for comes first
    bool given_up_ = false; // stop() came while looking back

    // the worker's thread only
    std::shared_ptr<const OpenedModel> opened_;
    std::unique_ptr<Session> session_;
    bool frames_missing_ = false;
    std::chrono::steady_clock::time_point published_{};
    bool patient_ = false;                   // frames wait for the reader
    std::vector<std::vector<float>> params_; // what they were set to; empty: the model's own
    bool stale_ = false;                     // rows are remembered that other parameters made
    std::thread thread_;                     // last: it uses everything above
};

Worker::Worker(std::function<void()> wake) : impl_(std::make_unique<Impl>(std::move(wake))) {}
Worker::~Worker() = default;

void Worker::open(std::string source, OpenModelOptions options) {
    impl_->enqueue(CommandOpen{std::move(source), std::move(options)});
}
void Worker::generate(GenerateRequest request) {
    impl_->enqueue(std::move(request));
}
void Worker::observe(std::vector<Observe> wanted) {
    impl_->observe(std::move(wanted));
}
void Worker::read(std::uint64_t tag, std::vector<std::int32_t> ids) {
    impl_->enqueue(CommandRead{tag, std::move(ids)});
}
void Worker::use_backend(BackendWish wish) {
    impl_->use_backend(std::move(wish));
}
void Worker::time_ops(bool timed) {
    impl_->time_ops(timed);
}
std::vector<OpTime> Worker::op_times() const {
    return impl_->op_times();
}
void Worker::forget() {
    impl_->enqueue(CommandForget{});
}
void Worker::set_params(std::vector<std::vector<float>> values) {
    impl_->set_params(std::move(values));
}
void Worker::stop() {
    impl_->stop();
}
std::vector<Event> Worker::take_events() {
    return impl_->take_events();
}
std::optional<Frame> Worker::take_frame() {
    return impl_->take_frame();
}
std::size_t Worker::dropped_frames() const {
    return impl_->dropped();
}
bool Worker::busy() const {
    return impl_->busy();
}

} // namespace ergo
