/* chat.cpp -- llama.cpp's chat layer behind two calls, JSON in and JSON out.
 *
 * For templates without a handler of their own llama.cpp finds out anew, with every call, how the
 * template writes reasoning and tool calls. Without tools the answer is always the same one, so it
 * is kept; only the messages are rendered then. */
#include "lcrt/chat.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>

#include "chat-auto-parser.h"
#include "chat.h" // llama.cpp's common
#include "internal.hpp"

struct lcrt_chat {
    lcrt_model *model = nullptr;
    common_chat_templates_ptr templates;
    std::unique_ptr<lcrt::deep_stack> stack;
    bool keeps = false;                        /* no handler of its own: what was found out can be kept */
    std::optional<common_chat_params> kept[2]; /* by enable_thinking */

    ~lcrt_chat() { lcrt_model_free(model); }
};

namespace {

std::string token_text(const llama_vocab *vocab, llama_token token) {
    return token < 0 ? std::string() : common_token_to_piece(vocab, token, true);
}

common_chat_msg message(const char *role, const char *content) {
    common_chat_msg out;
    out.role = role;
    out.content = content;
    return out;
}

/* Whether llama.cpp has a handler written for this template. */
bool has_handler(const common_chat_template &parsed, const std::string &source) {
    autoparser::generation_params params;
    params.messages = common_json::array();
    params.messages.push_back(message("user", "x").to_json_oaicompat());
    params.add_generation_prompt = true;
    try {
        return common_chat_try_specialized_template(parsed, source, params).has_value();
    } catch (const std::exception &) {
        return true;
    }
}

/* "Jinja Exception: no system role" and what the engine adds around it -> one line. */
std::string template_message(const std::exception &error) {
    static const std::string marker = "Jinja Exception: ";
    std::string text = error.what();
    const size_t found = text.rfind(marker);
    if (found != std::string::npos) {
        text = text.substr(found + marker.size());
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
        text.pop_back();
    }
    return text;
}

std::string date_text(std::time_t when, const char *format) {
    std::tm parts = {};
    char text[64];
    localtime_r(&when, &parts);
    return std::string(text, std::strftime(text, sizeof(text), format, &parts));
}

void set_time(common_chat_templates_inputs *inputs, std::time_t when) {
    inputs->now = std::chrono::system_clock::from_time_t(when);
    inputs->chat_template_kwargs["datetime"] = common_json::make(date_text(when, "%b %d %Y")).dump();
    inputs->chat_template_kwargs["date_string"] = common_json::make(date_text(when, "%d %b %Y")).dump();
}

common_chat_templates_inputs read_request(const common_json &request) {
    if (!request.is_object() || !request.contains("messages")) {
        throw std::invalid_argument("a chat request is an object with messages");
    }
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.add_generation_prompt = request.value("add_generation_prompt", true);
    inputs.enable_thinking = request.value("enable_thinking", false);
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    if (request.contains("tools") && !request.at("tools").empty()) {
        inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
        inputs.parallel_tool_calls = true;
    }
    if (request.contains("tool_choice") && request.at("tool_choice").is_string()) {
        inputs.tool_choice = common_chat_tool_choice_parse_oaicompat(request.at("tool_choice"));
    }
    if (request.contains("now")) {
        set_time(&inputs, static_cast<std::time_t>(request.at("now").get<int64_t>()));
    }
    return inputs;
}

/* What was found out about this template for plain conversations, once. */
const common_chat_params &kept_params(lcrt_chat *chat, bool thinking) {
    std::optional<common_chat_params> &kept = chat->kept[thinking ? 1 : 0];
    if (!kept.has_value()) {
        common_chat_templates_inputs inputs;
        inputs.messages = {message("user", "x")};
        inputs.enable_thinking = thinking;
        inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
        kept = common_chat_templates_apply(chat->templates.get(), inputs);
    }
    return *kept;
}

common_chat_params render(lcrt_chat *chat, common_chat_templates_inputs inputs) {
    if (!chat->keeps || !inputs.tools.empty()) {
        return common_chat_templates_apply(chat->templates.get(), inputs);
    }
    const common_chat_params &kept = kept_params(chat, inputs.enable_thinking);
    common_chat_templates_inputs plain = inputs;
    plain.force_pure_content = true;
    common_chat_params rendered = common_chat_templates_apply(chat->templates.get(), plain);
    if (rendered.generation_prompt != kept.generation_prompt) {
        return common_chat_templates_apply(chat->templates.get(), inputs);
    }
    common_chat_params out = kept;
    out.prompt = std::move(rendered.prompt);
    return out;
}

std::string answer(const common_chat_params &params) {
    common_json out = common_json::object();
    out["prompt"] = params.prompt;
    out["format"] = common_chat_format_name(params.format);
    out["generation_prompt"] = params.generation_prompt;
    out["parser"] = params.parser;
    out["thinking_start"] = params.thinking_start_tag;
    out["thinking_end"] = params.thinking_end_tags;
    out["preserved_tokens"] = params.preserved_tokens;
    out["stops"] = params.additional_stops;
    return out.dump_safe();
}

/* llama.cpp's parser, interpreter and analysis of templates call themselves as deep as a text is nested, and so does what
 * frees them: with "((((" a level takes some 2 KiB of stack for each byte. A file's template is not to end the process. */
constexpr size_t template_len_max = 1 << 20;

size_t stack_len(size_t template_len) {
    return (8 << 20) + template_len * 4096;
}

template <class F> lcrt_status run_nested(lcrt::deep_stack &stack, char *err, size_t err_cap, F f) {
    lcrt_status status = LCRT_ERR_NO_MEMORY;
    if (!stack.run([&] { status = lcrt::guarded(err, err_cap, f); })) {
        lcrt::set_error(err, err_cap, "no thread for reading the chat template");
    }
    return status;
}

/* Parses once here for the sake of the message: the layer below forgets what was wrong. */
lcrt_status parse(lcrt_chat *chat, const char *source, char *err, size_t cap) {
    const llama_vocab *vocab = chat->model->vocab;
    try {
        const common_chat_template parsed(source, token_text(vocab, llama_vocab_bos(vocab)),
                                          token_text(vocab, llama_vocab_eos(vocab)));
        chat->templates = common_chat_templates_init(chat->model->llama, source);
        chat->keeps = !has_handler(parsed, common_chat_templates_source(chat->templates.get()));
        return LCRT_OK;
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &error) {
        lcrt::set_error(err, cap, "cannot read the chat template: %s", template_message(error).c_str());
        return LCRT_ERR_UNSUPPORTED;
    }
}

} // namespace

extern "C" lcrt_status lcrt_chat_init(lcrt_model *model, const char *template_text, lcrt_chat **out, char *err,
                                      size_t err_cap) {
    const char *source = template_text != nullptr ? template_text : lcrt_model_chat_template(model);
    if (source == nullptr || source[0] == '\0') {
        lcrt::set_error(err, err_cap, "this model has no chat template");
        return LCRT_ERR_UNSUPPORTED;
    }
    const size_t len = std::strlen(source);
    if (len > template_len_max) {
        lcrt::set_error(err, err_cap, "the chat template is longer than %zu bytes", template_len_max);
        return LCRT_ERR_UNSUPPORTED;
    }
    return lcrt::guarded(err, err_cap, [&] {
        lcrt::log_install();
        std::unique_ptr<lcrt_chat, decltype(&lcrt_chat_free)> chat(new lcrt_chat(), lcrt_chat_free);
        chat->model = lcrt_model_ref(model);
        chat->stack = std::make_unique<lcrt::deep_stack>(stack_len(len));
        const lcrt_status status =
            run_nested(*chat->stack, err, err_cap, [&] { return parse(chat.get(), source, err, err_cap); });
        if (status == LCRT_OK) {
            *out = chat.release();
        }
        return status;
    });
}

extern "C" void lcrt_chat_free(lcrt_chat *chat) {
    if (chat == nullptr) {
        return;
    }
    const std::unique_ptr<lcrt::deep_stack> stack = std::move(chat->stack);
    if (stack == nullptr || !stack->run([&] { delete chat; })) {
        delete chat;
    }
}

extern "C" lcrt_status lcrt_chat_apply(lcrt_chat *chat, const char *request, size_t request_len, char **out,
                                       size_t *out_len, char *err, size_t err_cap) {
    return run_nested(*chat->stack, err, err_cap, [&] {
        std::string text;
        try {
            text = answer(render(chat, read_request(common_json::parse(std::string(request, request_len)))));
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &error) {
            lcrt::set_error(err, err_cap, "%s", template_message(error).c_str());
            return LCRT_ERR_INVALID;
        }
        char *copy = static_cast<char *>(std::malloc(text.size() + 1));
        if (copy == nullptr) {
            throw std::bad_alloc();
        }
        std::memcpy(copy, text.c_str(), text.size() + 1);
        *out = copy;
        *out_len = text.size();
        return LCRT_OK;
    });
}

extern "C" void lcrt_chat_text_free(char *text) {
    std::free(text);
}
