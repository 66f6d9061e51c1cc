package com.getcapacitor;

public class PluginCall {

    public void resolve() {}

    public void resolve(JSObject data) {}

    public void reject(String message, String code) {}

    public void reject(String message, String code, Exception cause) {}

    public String getString(String name) {
        return null;
    }

    public String getString(String name, String otherwise) {
        return otherwise;
    }

    public Boolean getBoolean(String name, Boolean otherwise) {
        return otherwise;
    }

    public Integer getInt(String name, Integer otherwise) {
        return otherwise;
    }
}
