/* Eclipse Paho's C client as a client program of the matrix: `words.py` says what it obeys and answers.
 * A connection that is to be cut ends with this process. */

#include <MQTTAsync.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 32, WAIT_MS = 30000, OUT_OF_MEMORY = 9, SUBSCRIPTION_FAILED = 0x80, ALIASES = 8 };

static struct { char *key, *value; } fields[FIELDS];
static int field_count;
static MQTTAsync client;
static int five;
static char *aliases[ALIASES];

static void *checked(void *memory) {
    if (!memory) exit(OUT_OF_MEMORY);
    return memory;
}

static int digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static void decode(char *text) {
    char *to = text;
    for (; *text; text++) {
        if (*text == '%') {
            *to++ = (char)(digit(text[1]) * 16 + digit(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

/* Cuts a line up in place and returns its verb. */
static char *read_line(char *line) {
    line[strcspn(line, "\n")] = 0;
    char *rest = line, *verb = strsep(&rest, " "), *word;
    for (field_count = 0; field_count < FIELDS && (word = strsep(&rest, " ")); field_count++) {
        fields[field_count].key = strsep(&word, "=");
        fields[field_count].value = word ? word : "";
        if (word) decode(word);
    }
    return verb;
}

static char *text(const char *key) {
    for (int i = 0; i < field_count; i++)
        if (!strcmp(fields[i].key, key)) return fields[i].value;
    return NULL;
}

static int number(const char *key) {
    char *value = text(key);
    return value ? atoi(value) : 0;
}

/* Bytes out of hexadecimal digits; the caller frees them. */
static char *bytes(const char *key, int *length) {
    char *digits = text(key);
    *length = digits ? (int)strlen(digits) / 2 : 0;
    char *made = checked(malloc((size_t)*length + 1));
    for (int i = 0; i < *length; i++) made[i] = (char)(digit(digits[2 * i]) * 16 + digit(digits[2 * i + 1]));
    return made;
}

static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    flockfile(stdout);
    vprintf(format, values);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(values);
}

static void problem(const char *where, int code) { say("problem why=%s:%d", where, code); }

static void put_encoded(const char *data, int length) {
    for (int i = 0; i < length; i++) printf("%%%02x", (unsigned char)data[i]);
}

static void put_properties(MQTTProperties *properties) {
    for (int i = 0; i < properties->count; i++) {
        MQTTProperty *each = &properties->array[i];
        if (each->identifier == MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL) {
            printf(" expiry=%u", each->value.integer4);
        } else if (each->identifier == MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER) {
            printf(" identifier=%u", each->value.integer4);
        } else if (each->identifier == MQTTPROPERTY_CODE_USER_PROPERTY) {
            printf(" user=");
            put_encoded(each->value.data.data, each->value.data.len);
            putchar(':');
            put_encoded(each->value.value.data, each->value.value.len);
        }
    }
}

/* The topic of a message. The library leaves the table of the broker's aliases to its user. */
static const char *named(const char *topic, MQTTProperties *properties) {
    int alias = MQTTProperties_getNumericValue(properties, MQTTPROPERTY_CODE_TOPIC_ALIAS);
    if (alias < 1 || alias > ALIASES) return topic;
    if (*topic) {
        free(aliases[alias - 1]);
        aliases[alias - 1] = checked(strdup(topic));
    }
    return aliases[alias - 1] ? aliases[alias - 1] : topic;
}

/* On a thread of the library. */
static int arrived(void *context, char *topic, int topic_length, MQTTAsync_message *message) {
    (void)context;
    (void)topic_length;
    const char *name = named(topic, &message->properties);
    flockfile(stdout);
    printf("message topic=");
    put_encoded(name, (int)strlen(name));
    printf(" qos=%d retain=%d payload=", message->qos, message->retained);
    for (int i = 0; i < message->payloadlen; i++) printf("%02x", ((unsigned char *)message->payload)[i]);
    put_properties(&message->properties);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void add_number(MQTTProperties *properties, enum MQTTPropertyCodes code, const char *key) {
    if (!text(key)) return;
    MQTTProperty property = {.identifier = code};
    if (MQTTProperty_getType(code) == MQTTPROPERTY_TYPE_TWO_BYTE_INTEGER)
        property.value.integer2 = (unsigned short)number(key);
    else
        property.value.integer4 = (unsigned)number(key);
    if (MQTTProperties_add(properties, &property)) problem(key, 0);
}

static void add_users(MQTTProperties *properties) {
    for (int i = 0; i < field_count; i++) {
        char *colon = strcmp(fields[i].key, "user") ? NULL : strchr(fields[i].value, ':');
        if (!colon) continue;
        MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
        property.value.data.data = fields[i].value;
        property.value.data.len = (int)(colon - fields[i].value);
        property.value.value.data = colon + 1;
        property.value.value.len = (int)strlen(colon + 1);
        if (MQTTProperties_add(properties, &property)) problem("user", 0);
    }
}

static void say_connected(int session_present, MQTTProperties *properties) {
    MQTTProperty *assigned =
        properties ? MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_ASSIGNED_CLIENT_IDENTIFER) : NULL;
    flockfile(stdout);
    printf("connected session-present=%d", session_present);
    if (assigned) {
        printf(" assigned=");
        put_encoded(assigned->value.data.data, assigned->value.data.len);
    }
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

/* The answers. They come on a thread of the library, in the order of the commands. */
static void failed(void *command, MQTTAsync_failureData *data) {
    /* 3.1.1 has no other code for a subscription that was refused. */
    if (!strcmp(command, "subscribed") && data && data->code == SUBSCRIPTION_FAILED) say("subscribed reason=%d", data->code);
    else problem(command, data ? data->code : 0);
}

static void failed5(void *command, MQTTAsync_failureData5 *data) {
    if (!strcmp(command, "subscribed") && data && (int)data->reasonCode >= SUBSCRIPTION_FAILED)
        say("subscribed reason=%d", data->reasonCode);
    else problem(command, data ? (data->reasonCode ? (int)data->reasonCode : data->code) : 0);
}

static void done(void *command, MQTTAsync_successData *data) {
    (void)data;
    say("%s", (char *)command);
}

static void done5(void *command, MQTTAsync_successData5 *data) {
    (void)data;
    say("%s", (char *)command);
}

static void connected(void *command, MQTTAsync_successData *data) {
    (void)command;
    say_connected(data->alt.connect.sessionPresent, NULL);
}

static void connected5(void *command, MQTTAsync_successData5 *data) {
    (void)command;
    say_connected(data->alt.connect.sessionPresent, &data->properties);
}

static void subscribed(void *command, MQTTAsync_successData *data) { say("%s reason=%d", (char *)command, data->alt.qos); }

static void subscribed5(void *command, MQTTAsync_successData5 *data) {
    say("%s reason=%d", (char *)command, data->reasonCode);
}

/* What a command gives the library to call back: its answer is `command`. */
static MQTTAsync_responseOptions answering(char *command) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = command;
    if (five) {
        options.onSuccess5 = done5;
        options.onFailure5 = failed5;
    } else {
        options.onSuccess = done;
        options.onFailure = failed;
    }
    return options;
}

static void connect_client(void) {
    int websocket = !strncmp(text("url"), "ws", 2);
    five = number("version") == 5;
    if (client) MQTTAsync_destroy(&client);
    MQTTAsync_createOptions made3 = MQTTAsync_createOptions_initializer;
    MQTTAsync_createOptions made5 = MQTTAsync_createOptions_initializer5;
    MQTTAsync_createOptions *made = five ? &made5 : &made3;
    /* A burst waits in its queue; its own limit is 100. */
    made->maxBufferedMessages = 1000;
    int code = MQTTAsync_createWithOptions(&client, text("url"), text("id"), MQTTCLIENT_PERSISTENCE_NONE, NULL, made);
    if (code) return problem("create", code);
    MQTTAsync_setCallbacks(client, NULL, NULL, arrived, NULL);
    MQTTAsync_connectOptions tcp3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions tcp5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions ws3 = MQTTAsync_connectOptions_initializer_ws;
    MQTTAsync_connectOptions ws5 = MQTTAsync_connectOptions_initializer5_ws;
    MQTTAsync_connectOptions options = websocket ? (five ? ws5 : ws3) : (five ? tcp5 : tcp3);
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTProperties properties = MQTTProperties_initializer;
    int length = 0;
    char *payload = bytes("will-payload", &length);
    if (text("will-topic")) {
        will.topicName = text("will-topic");
        will.payload.data = payload;
        will.payload.len = length;
        will.qos = number("will-qos");
        will.retained = number("will-retain");
        options.will = &will;
    }
    options.maxInflight = 100;
    options.context = "connected";
    if (five) {
        add_number(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, "expiry");
        add_number(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM, "alias-maximum");
        options.connectProperties = &properties;
        options.cleanstart = number("clean");
        options.onSuccess5 = connected5;
        options.onFailure5 = failed5;
    } else {
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.cleansession = number("clean");
        options.onSuccess = connected;
        options.onFailure = failed;
    }
    code = MQTTAsync_connect(client, &options);
    if (code) problem("connect", code);
    MQTTProperties_free(&properties);
    free(payload);
}

static void subscribe(void) {
    MQTTAsync_responseOptions options = answering("subscribed");
    if (five) options.onSuccess5 = subscribed5;
    else options.onSuccess = subscribed;
    add_number(&options.properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, "identifier");
    int code = MQTTAsync_subscribe(client, text("filter"), number("qos"), &options);
    if (code) problem("subscribe", code);
    MQTTProperties_free(&options.properties);
}

static void unsubscribe(void) {
    MQTTAsync_responseOptions options = answering("unsubscribed");
    int code = MQTTAsync_unsubscribe(client, text("filter"), &options);
    if (code) problem("unsubscribe", code);
}

static void publish(void) {
    MQTTAsync_message message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions options = answering("published");
    message.payload = bytes("payload", &message.payloadlen);
    message.qos = number("qos");
    message.retained = number("retain");
    add_number(&message.properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, "expiry");
    add_number(&message.properties, MQTTPROPERTY_CODE_TOPIC_ALIAS, "alias");
    add_users(&message.properties);
    int code = MQTTAsync_sendMessage(client, text("topic") ? text("topic") : "", &message, &options);
    if (code) problem("publish", code);
    MQTTProperties_free(&message.properties);
    free(message.payload);
}

static void disconnect_client(void) {
    MQTTAsync_disconnectOptions options3 = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions *options = five ? &options5 : &options3;
    options->context = "disconnected";
    options->timeout = WAIT_MS;
    if (five) {
        options->onSuccess5 = done5;
        options->onFailure5 = failed5;
    } else {
        options->onSuccess = done;
        options->onFailure = failed;
    }
    int code = MQTTAsync_disconnect(client, options);
    if (code) problem("disconnect", code);
}

static const char *version(void) {
    for (MQTTAsync_nameValue *each = MQTTAsync_getVersionInfo(); each && each->name; each++)
        if (!strcmp(each->name, "Version")) return each->value;
    return "unknown";
}

int main(void) {
    static const struct { const char *verb; void (*obey)(void); } verbs[] = {
        {"connect", connect_client}, {"subscribe", subscribe}, {"unsubscribe", unsubscribe},
        {"publish", publish}, {"disconnect", disconnect_client},
    };
    char *line = NULL;
    size_t capacity = 0;
    say("hello version=%s", version());
    while (getline(&line, &capacity, stdin) > 0) {
        char *verb = read_line(line);
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            if (!strcmp(verb, verbs[i].verb)) verbs[i].obey();
    }
    free(line);
    return 0;
}
