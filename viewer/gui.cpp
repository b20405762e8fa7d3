// See gui.h. The only C++ file of the viewer: every function says to Dear ImGui what its C name says.
#include "viewer/gui.h"

#include <imgui.h>

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>
#include <unistd.h>

namespace
{

struct gui {
    ImFont *fonts[4];
    float scale;
    std::deque<gui_event> events;
    uint32_t typed[32];
    int n_typed;
    const char *(*get)(void *);
    void (*set)(void *, const char *);
    void *clipboard;
} *g;

ImVec4 colour(uint32_t c)
{
    return ImGui::ColorConvertU32ToFloat4(c);
}

ImVec4 between(uint32_t a, uint32_t b, float t)
{
    ImVec4 x = colour(a), y = colour(b);
    return ImVec4(x.x + (y.x - x.x) * t, x.y + (y.y - x.y) * t, x.z + (y.z - x.z) * t, 1);
}

void set_theme(float scale)
{
    ImGuiStyle style;
    ImGui::StyleColorsDark(&style);
    style.WindowPadding = ImVec2(12, 10);
    style.FramePadding = ImVec2(8, 5);
    style.ItemSpacing = ImVec2(8, 7);
    style.ItemInnerSpacing = ImVec2(7, 5);
    style.CellPadding = ImVec2(6, 4);
    style.IndentSpacing = 16;
    style.ScrollbarSize = 11;
    style.GrabMinSize = 12;
    style.WindowRounding = 0;
    style.ChildRounding = style.PopupRounding = 5;
    style.FrameRounding = style.GrabRounding = style.TabRounding = style.ScrollbarRounding = 4;
    style.WindowBorderSize = 0;
    style.ChildBorderSize = style.PopupBorderSize = 1;
    style.FrameBorderSize = style.TabBorderSize = 0;
    ImVec4 *c = style.Colors;
    c[ImGuiCol_Text] = colour(GUI_TEXT_COLOUR);
    c[ImGuiCol_TextDisabled] = colour(GUI_FAINT);
    c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] = colour(GUI_PANEL);
    c[ImGuiCol_WindowBg] = c[ImGuiCol_ChildBg] = ImVec4(0, 0, 0, 0);
    c[ImGuiCol_PopupBg] = between(GUI_PANEL, GUI_FIELD, 0.5f);
    c[ImGuiCol_Border] = c[ImGuiCol_Separator] = c[ImGuiCol_TableBorderLight] = c[ImGuiCol_TableBorderStrong] = colour(GUI_LINE);
    c[ImGuiCol_FrameBg] = c[ImGuiCol_Button] = c[ImGuiCol_TableHeaderBg] = colour(GUI_FIELD);
    c[ImGuiCol_FrameBgHovered] = c[ImGuiCol_ButtonHovered] = between(GUI_FIELD, GUI_TEXT_COLOUR, 0.12f);
    c[ImGuiCol_FrameBgActive] = c[ImGuiCol_ButtonActive] = between(GUI_FIELD, GUI_ACCENT, 0.35f);
    c[ImGuiCol_CheckMark] = c[ImGuiCol_SliderGrab] = c[ImGuiCol_NavHighlight] = colour(GUI_ACCENT);
    c[ImGuiCol_PlotHistogram] = between(GUI_PANEL, GUI_ACCENT, 0.5f);
    c[ImGuiCol_SliderGrabActive] = between(GUI_ACCENT, GUI_TEXT_COLOUR, 0.4f);
    c[ImGuiCol_Header] = between(GUI_PANEL, GUI_ACCENT, 0.22f);
    c[ImGuiCol_HeaderHovered] = between(GUI_PANEL, GUI_ACCENT, 0.32f);
    c[ImGuiCol_HeaderActive] = between(GUI_PANEL, GUI_ACCENT, 0.42f);
    c[ImGuiCol_Tab] = c[ImGuiCol_TabUnfocused] = colour(GUI_PANEL);
    c[ImGuiCol_TabHovered] = between(GUI_PANEL, GUI_ACCENT, 0.32f);
    c[ImGuiCol_TabActive] = c[ImGuiCol_TabUnfocusedActive] = between(GUI_PANEL, GUI_ACCENT, 0.22f);
    c[ImGuiCol_TextSelectedBg] = between(GUI_FIELD, GUI_ACCENT, 0.5f);
    c[ImGuiCol_ScrollbarBg] = ImVec4(0, 0, 0, 0);
    c[ImGuiCol_ModalWindowDimBg] = ImVec4(0, 0, 0, 0.55f);
    style.ScaleAllSizes(scale);
    ImGui::GetStyle() = style;
}

// The first that can be read of the places where packages put it; nullptr if none.
const char *font_file(const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (access(names[i], R_OK) == 0)
            return names[i];
    return nullptr;
}

ImFont *load_font(const char *const *names, int n, float pixels)
{
    static const ImWchar ranges[] = {0x20,   0x24f,  0x370,  0x3ff,  0x2010, 0x2044, 0x2070, 0x209c, 0x2190, 0x21ff,
                                     0x2200, 0x22ff, 0x2300, 0x23ff, 0x25a0, 0x25ff, 0x2713, 0x2717, 0};
    ImFontAtlas *atlas = ImGui::GetIO().Fonts;
    const char *path = font_file(names, n);
    ImFontConfig config;
    config.SizePixels = pixels;
    config.OversampleH = 2;
    ImFont *font = path ? atlas->AddFontFromFileTTF(path, pixels, &config, ranges) : nullptr;
    return font ? font : atlas->AddFontDefault(&config);
}

void feed(const gui_event &e)
{
    ImGuiIO &io = ImGui::GetIO();
    switch (e.kind) {
    case GUI_MOVE:
        io.MousePos = e.x < 0 && e.y < 0 ? ImVec2(-FLT_MAX, -FLT_MAX) : ImVec2(e.x, e.y);
        break;
    case GUI_BUTTON:
        io.MouseDown[e.code] = e.down;
        break;
    case GUI_WHEEL:
        io.MouseWheelH += e.x;
        io.MouseWheel += e.y;
        break;
    case GUI_KEY:
        io.KeysDown[e.code] = e.down;
        io.KeyCtrl = io.KeysDown[GUI_KEY_CTRL];
        io.KeyShift = io.KeysDown[GUI_KEY_SHIFT];
        io.KeyAlt = io.KeysDown[GUI_KEY_ALT];
        io.KeySuper = io.KeysDown[GUI_KEY_SUPER];
        break;
    case GUI_CHARACTER:
        io.AddInputCharacter((unsigned)e.code);
        if (g->n_typed < 32)
            g->typed[g->n_typed++] = (uint32_t)e.code;
        break;
    case GUI_FOCUS:
        io.AddFocusEvent(e.down);
        break;
    }
}

// What a frame has taken so far. Of buttons and keys it takes presses or releases, not both, so that none hides another and
// a modifier stays down with the key it was pressed for; the pointer does not move on after a button.
struct taken {
    bool pressed, released, button;
};

bool must_wait(const gui_event &e, taken *t)
{
    const ImGuiIO &io = ImGui::GetIO();
    if (e.kind == GUI_KEY && e.code < GUI_KEY_TAB && io.WantTextInput && !io.KeyCtrl)
        return false; // its character is what counts
    if (e.kind == GUI_BUTTON || e.kind == GUI_KEY) {
        if (e.down ? t->released : t->pressed)
            return true;
        (e.down ? t->pressed : t->released) = true;
        t->button = t->button || e.kind == GUI_BUTTON;
        return false;
    }
    return (e.kind == GUI_MOVE && t->button) || (e.kind == GUI_CHARACTER && t->released);
}

void feed_waiting()
{
    taken t = {};
    g->n_typed = 0;
    while (!g->events.empty() && !must_wait(g->events.front(), &t)) {
        feed(g->events.front());
        g->events.pop_front();
    }
}

const char *clipboard_get(void *)
{
    return g->get ? g->get(g->clipboard) : "";
}

void clipboard_set(void *, const char *text)
{
    if (g->set)
        g->set(g->clipboard, text);
}

ImDrawList *drawing()
{
    return ImGui::GetWindowDrawList();
}

gui_size size_of(ImVec2 v)
{
    return gui_size{v.x, v.y};
}

} // namespace

// ---- life ----

bool gui_open(void)
{
    g = new gui();
    g->scale = 1;
    ImGui::CreateContext();
    ImGuiIO &io = ImGui::GetIO();
    io.IniFilename = io.LogFilename = nullptr;
    io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset | ImGuiBackendFlags_HasMouseCursors;
    io.ConfigInputTextCursorBlink = false; // frames are drawn when something changes
    io.ConfigWindowsMoveFromTitleBarOnly = true;
    io.GetClipboardTextFn = clipboard_get;
    io.SetClipboardTextFn = clipboard_set;
    static const struct {
        ImGuiKey key;
        int code;
    } map[] = {{ImGuiKey_Tab, GUI_KEY_TAB},           {ImGuiKey_LeftArrow, GUI_KEY_LEFT}, {ImGuiKey_RightArrow, GUI_KEY_RIGHT},
               {ImGuiKey_UpArrow, GUI_KEY_UP},        {ImGuiKey_DownArrow, GUI_KEY_DOWN}, {ImGuiKey_PageUp, GUI_KEY_PAGE_UP},
               {ImGuiKey_PageDown, GUI_KEY_PAGE_DOWN},{ImGuiKey_Home, GUI_KEY_HOME},      {ImGuiKey_End, GUI_KEY_END},
               {ImGuiKey_Insert, GUI_KEY_INSERT},     {ImGuiKey_Delete, GUI_KEY_DELETE},  {ImGuiKey_Backspace, GUI_KEY_BACKSPACE},
               {ImGuiKey_Space, GUI_KEY_SPACE},       {ImGuiKey_Enter, GUI_KEY_ENTER},    {ImGuiKey_Escape, GUI_KEY_ESCAPE},
               {ImGuiKey_A, 'A'},                     {ImGuiKey_C, 'C'},                  {ImGuiKey_V, 'V'},
               {ImGuiKey_X, 'X'},                     {ImGuiKey_Y, 'Y'},                  {ImGuiKey_Z, 'Z'}};
    for (const auto &m : map)
        io.KeyMap[m.key] = m.code;
    return true;
}

void gui_close(void)
{
    ImGui::DestroyContext();
    delete g;
    g = nullptr;
}

void gui_fonts(float scale, gui_pixels *atlas)
{
    static const char *const body[] = {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
                                       "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
                                       "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
                                       "/usr/share/fonts/TTF/DejaVuSans.ttf",
                                       "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf"};
    static const char *const bold[] = {"/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf",
                                       "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf",
                                       "/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf",
                                       "/usr/share/fonts/TTF/DejaVuSans-Bold.ttf",
                                       "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf"};
    static const char *const mono[] = {"/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
                                       "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf",
                                       "/usr/share/fonts/truetype/noto/NotoSansMono-Regular.ttf",
                                       "/usr/share/fonts/TTF/DejaVuSansMono.ttf",
                                       "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf"};
    ImFontAtlas *fonts = ImGui::GetIO().Fonts;
    unsigned char *pixels;
    int width, height;
    fonts->Clear();
    fonts->Flags |= ImFontAtlasFlags_NoPowerOfTwoHeight;
    g->scale = scale;
    g->fonts[GUI_BODY] = load_font(body, 5, roundf(15 * scale));
    g->fonts[GUI_SMALL] = load_font(body, 5, roundf(12.5f * scale));
    g->fonts[GUI_BOLD] = load_font(bold, 5, roundf(15 * scale));
    g->fonts[GUI_MONO] = load_font(mono, 5, roundf(13.5f * scale));
    fonts->GetTexDataAsRGBA32(&pixels, &width, &height);
    *atlas = gui_pixels{pixels, (uint32_t)width, (uint32_t)height};
    set_theme(scale);
}

void gui_font_texture(gui_texture texture)
{
    ImGui::GetIO().Fonts->SetTexID(texture);
}

float gui_scale(void)
{
    return g->scale;
}

// ---- input ----

void gui_event_add(const gui_event *event)
{
    if (event->kind == GUI_BUTTON && (event->code < 0 || event->code > 4))
        return;
    if (event->kind == GUI_KEY && (event->code <= 0 || event->code >= GUI_KEY_COUNT))
        return;
    g->events.push_back(*event);
}

bool gui_events_waiting(void)
{
    return !g->events.empty();
}

void gui_clipboard(const char *(*get)(void *user), void (*set)(void *user, const char *text), void *user)
{
    g->get = get;
    g->set = set;
    g->clipboard = user;
}

// ---- a frame ----

void gui_begin(float width, float height, double seconds)
{
    ImGuiIO &io = ImGui::GetIO();
    io.DisplaySize = ImVec2(width, height);
    io.DeltaTime = seconds > 1e-4 ? (float)seconds : 1e-4f;
    feed_waiting();
    ImGui::NewFrame();
}

void gui_end(void)
{
    ImGui::Render();
}

bool gui_draw_list(uint32_t index, gui_list *list)
{
    static_assert(sizeof(ImDrawVert) == 20 && sizeof(ImDrawIdx) == 2, "what gui.h says of lists");
    const ImDrawData *data = ImGui::GetDrawData();
    if (!data || index >= (uint32_t)data->CmdListsCount)
        return false;
    const ImDrawList *l = data->CmdLists[index];
    *list = gui_list{l->VtxBuffer.Data, l->IdxBuffer.Data, (uint32_t)l->VtxBuffer.Size, (uint32_t)l->IdxBuffer.Size,
                     (uint32_t)l->CmdBuffer.Size};
    return true;
}

void gui_draw_command(uint32_t list, uint32_t index, gui_command *command)
{
    const ImDrawCmd &c = ImGui::GetDrawData()->CmdLists[list]->CmdBuffer[(int)index];
    *command = gui_command{{c.ClipRect.x, c.ClipRect.y, c.ClipRect.z, c.ClipRect.w}, c.GetTexID(), c.IdxOffset, c.ElemCount,
                           c.VtxOffset};
}

// ---- what was typed and pointed at ----

bool gui_keyboard_taken(void)
{
    return ImGui::GetIO().WantTextInput || gui_navigating();
}

void gui_navigate(bool on)
{
    ImGuiIO &io = ImGui::GetIO();
    io.ConfigFlags = on ? io.ConfigFlags | ImGuiConfigFlags_NavEnableKeyboard
                        : io.ConfigFlags & ~ImGuiConfigFlags_NavEnableKeyboard;
}

bool gui_navigating(void)
{
    return ImGui::GetIO().ConfigFlags & ImGuiConfigFlags_NavEnableKeyboard;
}

bool gui_mouse_taken(void)
{
    return ImGui::IsAnyItemActive();
}

bool gui_pressed(gui_key key, bool repeat)
{
    return ImGui::IsKeyPressed(key, repeat);
}

bool gui_ctrl(void)
{
    return ImGui::GetIO().KeyCtrl;
}

bool gui_shift(void)
{
    return ImGui::GetIO().KeyShift;
}

bool gui_alt(void)
{
    return ImGui::GetIO().KeyAlt;
}

bool gui_typed(uint32_t character)
{
    if (gui_keyboard_taken() || gui_ctrl() || gui_alt())
        return false;
    for (int i = 0; i < g->n_typed; i++)
        if (g->typed[i] == character)
            return true;
    return false;
}

gui_size gui_mouse(void)
{
    return size_of(ImGui::GetIO().MousePos);
}

gui_size gui_mouse_moved(void)
{
    return size_of(ImGui::GetIO().MouseDelta);
}

bool gui_mouse_down(int button)
{
    return ImGui::IsMouseDown(button);
}

bool gui_mouse_clicked(int button)
{
    return ImGui::IsMouseClicked(button);
}

bool gui_mouse_released(int button)
{
    return ImGui::IsMouseReleased(button);
}

float gui_wheel(void)
{
    return ImGui::GetIO().MouseWheel;
}

void gui_cursor_set(gui_cursor cursor)
{
    static const ImGuiMouseCursor cursors[] = {ImGuiMouseCursor_Arrow,    ImGuiMouseCursor_Hand,      ImGuiMouseCursor_ResizeEW,
                                               ImGuiMouseCursor_ResizeNS, ImGuiMouseCursor_TextInput, ImGuiMouseCursor_ResizeAll};
    ImGui::SetMouseCursor(cursors[cursor]);
}

gui_cursor gui_cursor_wanted(void)
{
    switch (ImGui::GetMouseCursor()) {
    case ImGuiMouseCursor_Hand:
        return GUI_HAND;
    case ImGuiMouseCursor_ResizeEW:
        return GUI_RESIZE_ACROSS;
    case ImGuiMouseCursor_ResizeNS:
        return GUI_RESIZE_DOWN;
    case ImGuiMouseCursor_TextInput:
        return GUI_TEXT_CURSOR;
    case ImGuiMouseCursor_ResizeAll:
        return GUI_MOVE_ALL;
    default:
        return GUI_ARROW;
    }
}

// ---- places ----

void gui_region_begin(const char *name, float x, float y, float width, float height, bool padded)
{
    ImGui::SetNextWindowPos(ImVec2(x, y));
    ImGui::SetNextWindowSize(ImVec2(width, height));
    if (!padded)
        ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
    ImGui::Begin(name, nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                                    ImGuiWindowFlags_NoBringToFrontOnFocus);
    if (!padded)
        ImGui::PopStyleVar();
}

void gui_region_end(void)
{
    ImGui::End();
}

void gui_notice_begin(const char *name, float x, float y, float width, float height, uint32_t stripe)
{
    ImGui::SetNextWindowPos(ImVec2(x, y));
    ImGui::SetNextWindowSize(ImVec2(width, height));
    ImGui::PushStyleColor(ImGuiCol_WindowBg, ImGui::GetStyleColorVec4(ImGuiCol_PopupBg));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(18 * g->scale, 12 * g->scale));
    ImGui::Begin(name, nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings);
    ImGui::PopStyleVar(2);
    ImGui::PopStyleColor();
    ImGui::PushClipRect(ImVec2(x, y), ImVec2(x + width, y + height), false);
    drawing()->AddRectFilled(ImVec2(x, y), ImVec2(x + 5 * g->scale, y + height), stripe);
    ImGui::PopClipRect();
}

void gui_modal_open(const char *name)
{
    ImGui::OpenPopup(name);
}

bool gui_modal_begin(const char *name, float width, float height)
{
    ImVec2 screen = ImGui::GetIO().DisplaySize;
    ImVec2 size(fminf(width, screen.x * 0.96f), height > 0 ? fminf(height, screen.y * 0.96f) : 0);
    ImGui::SetNextWindowPos(ImVec2(screen.x / 2, screen.y / 2), ImGuiCond_Always, ImVec2(0.5f, 0.5f));
    ImGui::SetNextWindowSize(size);
    return ImGui::BeginPopupModal(name, nullptr, ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoResize |
                                                     ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoSavedSettings);
}

void gui_modal_close(void)
{
    ImGui::CloseCurrentPopup();
}

void gui_modal_end(void)
{
    ImGui::EndPopup();
}

void gui_child_begin(const char *name, float width, float height, bool framed)
{
    ImGui::BeginChild(name, ImVec2(width, height), framed);
}

void gui_child_end(void)
{
    ImGui::EndChild();
}

void gui_scroll_here(void)
{
    ImGui::SetScrollHereY();
}

float gui_scroll_y(void)
{
    return ImGui::GetScrollY();
}

void gui_scroll_set_y(float y)
{
    ImGui::SetScrollY(y);
}

gui_size gui_available(void)
{
    return size_of(ImGui::GetContentRegionAvail());
}

gui_size gui_place(void)
{
    return size_of(ImGui::GetCursorScreenPos());
}

void gui_place_set(float x, float y)
{
    ImGui::SetCursorScreenPos(ImVec2(x, y));
}

gui_size gui_item_least(void)
{
    return size_of(ImGui::GetItemRectMin());
}

gui_size gui_item_most(void)
{
    return size_of(ImGui::GetItemRectMax());
}

gui_size gui_item_size(void)
{
    return size_of(ImGui::GetItemRectSize());
}

void gui_same_line(float spacing)
{
    ImGui::SameLine(0, spacing);
}

void gui_same_line_at(float x)
{
    ImGui::SameLine(x);
}

void gui_spacing(void)
{
    ImGui::Spacing();
}

void gui_dummy(float width, float height)
{
    ImGui::Dummy(ImVec2(width, height));
}

void gui_separator(void)
{
    ImGui::Separator();
}

void gui_indent(float width)
{
    if (width >= 0)
        ImGui::Indent(width);
    else
        ImGui::Unindent(-width);
}

void gui_next_width(float width)
{
    ImGui::SetNextItemWidth(width);
}

void gui_group_begin(void)
{
    ImGui::BeginGroup();
}

void gui_group_end(void)
{
    ImGui::EndGroup();
}

void gui_name_begin(const char *name)
{
    ImGui::PushID(name);
}

void gui_name_begin_number(int name)
{
    ImGui::PushID(name);
}

void gui_name_end(void)
{
    ImGui::PopID();
}

float gui_line_height(void)
{
    return ImGui::GetTextLineHeight();
}

float gui_row_height(void)
{
    return ImGui::GetFrameHeightWithSpacing();
}

bool gui_window_hovered(void)
{
    return ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows);
}

// ---- text ----

void gui_font_begin(gui_font font)
{
    ImGui::PushFont(g->fonts[font]);
}

void gui_font_end(void)
{
    ImGui::PopFont();
}

void gui_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ImGui::TextV(format, arguments);
    va_end(arguments);
}

void gui_text_coloured(uint32_t c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ImGui::TextColoredV(colour(c), format, arguments);
    va_end(arguments);
}

void gui_text_wrapped(uint32_t c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ImGui::PushStyleColor(ImGuiCol_Text, c);
    ImGui::TextWrappedV(format, arguments);
    ImGui::PopStyleColor();
    va_end(arguments);
}

void gui_heading(const char *text)
{
    ImGui::Dummy(ImVec2(0, 2 * g->scale));
    ImGui::PushFont(g->fonts[GUI_BOLD]);
    ImGui::TextUnformatted(text);
    ImGui::PopFont();
}

gui_size gui_text_size(const char *text)
{
    return size_of(ImGui::CalcTextSize(text));
}

// ---- widgets ----

bool gui_button(const char *label, float width)
{
    return ImGui::Button(label, ImVec2(width, 0));
}

bool gui_button_accent(const char *label, float width)
{
    ImGui::PushStyleColor(ImGuiCol_Button, between(GUI_PANEL, GUI_ACCENT, 0.85f));
    ImGui::PushStyleColor(ImGuiCol_ButtonHovered, colour(GUI_ACCENT));
    ImGui::PushStyleColor(ImGuiCol_ButtonActive, between(GUI_ACCENT, GUI_TEXT_COLOUR, 0.4f));
    ImGui::PushStyleColor(ImGuiCol_Text, colour(GUI_GROUND));
    bool used = ImGui::Button(label, ImVec2(width, 0));
    ImGui::PopStyleColor(4);
    return used;
}

bool gui_button_small(const char *label)
{
    return ImGui::SmallButton(label);
}

bool gui_checkbox(const char *label, bool *value)
{
    return ImGui::Checkbox(label, value);
}

bool gui_radio(const char *label, bool active)
{
    return ImGui::RadioButton(label, active);
}

bool gui_selectable(const char *label, bool selected, float width)
{
    return ImGui::Selectable(label, selected, 0, ImVec2(width, 0));
}

bool gui_slider(const char *label, float *value, float least, float most, const char *format)
{
    return ImGui::SliderFloat(label, value, least, most, format, ImGuiSliderFlags_AlwaysClamp);
}

bool gui_slider_int(const char *label, int *value, int least, int most, const char *format)
{
    return ImGui::SliderInt(label, value, least, most, format ? format : "%d", ImGuiSliderFlags_AlwaysClamp);
}

bool gui_drag(const char *label, float *value, float speed, float least, float most, const char *format)
{
    return ImGui::DragFloat(label, value, speed, least, most, format, ImGuiSliderFlags_AlwaysClamp);
}

bool gui_number(const char *label, int *value, int step, int least, int most)
{
    bool edited = ImGui::InputInt(label, value, step, step * 10);
    *value = *value < least ? least : *value > most ? most : *value;
    return edited;
}

bool gui_combo(const char *label, int *chosen, const char *const *items, int n)
{
    return ImGui::Combo(label, chosen, items, n, 16);
}

bool gui_combo_begin(const char *label, const char *shown)
{
    return ImGui::BeginCombo(label, shown, ImGuiComboFlags_HeightLarge);
}

void gui_combo_end(void)
{
    ImGui::EndCombo();
}

namespace
{

struct completion {
    gui_complete complete;
    void *user;
    bool edited;
};

int on_input(ImGuiInputTextCallbackData *data)
{
    completion *c = (completion *)data->UserData;
    char whole[1024];
    if (data->EventFlag == ImGuiInputTextFlags_CallbackEdit)
        c->edited = true;
    else if (c->complete && c->complete(c->user, data->Buf, data->CursorPos, whole, sizeof whole)) {
        int tail = data->BufTextLen - data->CursorPos;
        if ((int)strlen(whole) + tail + 1 < data->BufSize) {
            data->DeleteChars(0, data->CursorPos);
            data->InsertChars(0, whole);
            data->CursorPos = (int)strlen(whole);
            c->edited = true;
        }
    }
    return 0;
}

} // namespace

bool gui_input_completing(const char *label, const char *hint, char *text, size_t size, bool *entered,
                          gui_complete complete, void *user)
{
    completion c = {complete, user, false};
    ImGuiInputTextFlags flags = ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_CallbackEdit |
                                (complete ? ImGuiInputTextFlags_CallbackCompletion : 0);
    bool done = ImGui::InputTextWithHint(label, hint ? hint : "", text, size, flags, on_input, &c);
    if (entered)
        *entered = done;
    return c.edited;
}

bool gui_input(const char *label, const char *hint, char *text, size_t size, bool *entered)
{
    return gui_input_completing(label, hint, text, size, entered, nullptr, nullptr);
}

void gui_focus_next(void)
{
    ImGui::SetKeyboardFocusHere();
}

void gui_focus_none(void)
{
    ImGui::SetWindowFocus(nullptr);
}

bool gui_header(const char *label, bool open)
{
    return ImGui::CollapsingHeader(label, open ? ImGuiTreeNodeFlags_DefaultOpen : 0);
}

/* Narrower than other frames, so that six fit beside each other; not what is inside a tab. */
static void narrow(void)
{
    const ImVec2 padding = ImGui::GetStyle().FramePadding;
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(padding.x * 0.6f, padding.y));
}

bool gui_tabs_begin(const char *name)
{
    narrow();
    bool open = ImGui::BeginTabBar(name, ImGuiTabBarFlags_FittingPolicyScroll);
    if (!open)
        ImGui::PopStyleVar();
    return open;
}

bool gui_tab_begin(const char *label, bool choose)
{
    bool shown = ImGui::BeginTabItem(label, nullptr, choose ? ImGuiTabItemFlags_SetSelected : 0);
    if (shown)
        ImGui::PopStyleVar();
    return shown;
}

void gui_tab_end(void)
{
    ImGui::EndTabItem();
    narrow();
}

void gui_tabs_end(void)
{
    ImGui::EndTabBar();
    ImGui::PopStyleVar();
}

bool gui_table_begin(const char *name, int columns, bool lines, float height)
{
    ImGuiTableFlags flags = ImGuiTableFlags_PadOuterX | (lines ? ImGuiTableFlags_BordersInnerH : 0) |
                            (height != 0 ? ImGuiTableFlags_ScrollY : 0);
    return ImGui::BeginTable(name, columns, flags, ImVec2(0, height));
}

void gui_table_column(const char *label, float width)
{
    ImGui::TableSetupColumn(label, width > 0 ? ImGuiTableColumnFlags_WidthFixed : ImGuiTableColumnFlags_WidthStretch, width);
}

void gui_table_head(void)
{
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableHeadersRow();
}

void gui_table_row(void)
{
    ImGui::TableNextRow();
}

bool gui_table_next(void)
{
    return ImGui::TableNextColumn();
}

void gui_table_end(void)
{
    ImGui::EndTable();
}

void gui_progress(float fraction, float width, const char *text)
{
    ImGui::ProgressBar(fraction, ImVec2(width, 0), text);
}

void gui_disabled_begin(bool disabled)
{
    ImGui::BeginDisabled(disabled);
}

void gui_disabled_end(void)
{
    ImGui::EndDisabled();
}

void gui_image(gui_texture texture, float width, float height)
{
    ImGui::Image(texture, ImVec2(width, height));
}

bool gui_image_button(const char *name, gui_texture texture, float width, float height, bool selected)
{
    ImGui::PushID(name);
    ImGui::PushStyleColor(ImGuiCol_Button, selected ? GUI_ACCENT : GUI_FIELD);
    bool used = ImGui::ImageButton(texture, ImVec2(width, height), ImVec2(0, 0), ImVec2(1, 1), (int)(2 * g->scale));
    ImGui::PopStyleColor();
    ImGui::PopID();
    return used;
}

bool gui_area(const char *name, float width, float height)
{
    return ImGui::InvisibleButton(name, ImVec2(fmaxf(width, 1), fmaxf(height, 1)),
                                  ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight |
                                      ImGuiButtonFlags_MouseButtonMiddle);
}

bool gui_hovered(void)
{
    return ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled);
}

bool gui_active(void)
{
    return ImGui::IsItemActive();
}

bool gui_edited(void)
{
    return ImGui::IsItemDeactivatedAfterEdit();
}

bool gui_tip_begin(void)
{
    if (!gui_hovered())
        return false;
    ImGui::BeginTooltip();
    ImGui::PushTextWrapPos(ImGui::GetFontSize() * 26);
    return true;
}

void gui_tip_end(void)
{
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
}

void gui_tip(const char *format, ...)
{
    if (!gui_tip_begin())
        return;
    va_list arguments;
    va_start(arguments, format);
    ImGui::TextV(format, arguments);
    va_end(arguments);
    gui_tip_end();
}

bool gui_menu_begin(const char *name)
{
    return ImGui::BeginPopupContextItem(name);
}

bool gui_menu_item(const char *label, const char *keys, bool on)
{
    return ImGui::MenuItem(label, keys, on);
}

void gui_menu_end(void)
{
    ImGui::EndPopup();
}

// ---- drawing ----

void gui_draw_line(float x0, float y0, float x1, float y1, uint32_t c, float thickness)
{
    drawing()->AddLine(ImVec2(x0, y0), ImVec2(x1, y1), c, thickness);
}

void gui_draw_rectangle(float x0, float y0, float x1, float y1, uint32_t c, float rounding, float thickness)
{
    drawing()->AddRect(ImVec2(x0, y0), ImVec2(x1, y1), c, rounding, 0, thickness);
}

void gui_draw_filled(float x0, float y0, float x1, float y1, uint32_t c, float rounding)
{
    drawing()->AddRectFilled(ImVec2(x0, y0), ImVec2(x1, y1), c, rounding);
}

void gui_draw_circle(float x, float y, float radius, uint32_t c, float thickness)
{
    if (thickness > 0)
        drawing()->AddCircle(ImVec2(x, y), radius, c, 0, thickness);
    else
        drawing()->AddCircleFilled(ImVec2(x, y), radius, c);
}

void gui_draw_triangle(float x0, float y0, float x1, float y1, float x2, float y2, uint32_t c)
{
    drawing()->AddTriangleFilled(ImVec2(x0, y0), ImVec2(x1, y1), ImVec2(x2, y2), c);
}

void gui_draw_lines(const gui_size *points, int n, uint32_t c, float thickness)
{
    static_assert(sizeof(gui_size) == sizeof(ImVec2), "points are passed on as they are");
    drawing()->AddPolyline((const ImVec2 *)points, n, c, 0, thickness);
}

void gui_draw_convex(const gui_size *points, int n, uint32_t c)
{
    drawing()->AddConvexPolyFilled((const ImVec2 *)points, n, c);
}

void gui_draw_ribbon(float x0, float y0, float height0, float x1, float y1, float height1, uint32_t c)
{
    enum { PARTS = 16 };
    ImVec2 before_top, before_bottom;
    const ImDrawListFlags flags = drawing()->Flags;
    drawing()->Flags &= ~ImDrawListFlags_AntiAliasedFill; /* edges of parts would show as stripes */
    for (int i = 0; i <= PARTS; i++) {
        float t = (float)i / PARTS, s = t * t * (3 - 2 * t), x = x0 + (x1 - x0) * t;
        float y = y0 + (y1 - y0) * s, h = height0 + (height1 - height0) * s;
        ImVec2 top(x, y), bottom(x, y + h);
        if (i)
            drawing()->AddQuadFilled(before_top, top, bottom, before_bottom, c);
        before_top = top;
        before_bottom = bottom;
    }
    drawing()->Flags = flags;
}

void gui_draw_text(float x, float y, uint32_t c, const char *text)
{
    drawing()->AddText(ImVec2(x, y), c, text);
}

void gui_draw_text_fitted(float x, float y, float width, uint32_t c, const char *text)
{
    static const char dots[] = "…";
    if (ImGui::CalcTextSize(text).x <= width) {
        gui_draw_text(x, y, c, text);
        return;
    }
    size_t n = strlen(text);
    float room = width - ImGui::CalcTextSize(dots).x;
    while (n > 0 && ((text[n] & 0xc0) == 0x80 || ImGui::CalcTextSize(text, text + n).x > room))
        n--;
    drawing()->AddText(ImVec2(x, y), c, text, text + n);
    drawing()->AddText(ImVec2(x + ImGui::CalcTextSize(text, text + n).x, y), c, dots);
}

void gui_draw_image(gui_texture texture, float x0, float y0, float x1, float y1, float u0, float v0, float u1, float v1,
                    uint32_t tint)
{
    drawing()->AddImage(texture, ImVec2(x0, y0), ImVec2(x1, y1), ImVec2(u0, v0), ImVec2(u1, v1), tint);
}

void gui_clip_begin(float x0, float y0, float x1, float y1)
{
    drawing()->PushClipRect(ImVec2(x0, y0), ImVec2(x1, y1), true);
}

void gui_clip_end(void)
{
    drawing()->PopClipRect();
}
